// safetensors: eight bytes of length, a JSON header of that length, then the tensors' bytes.
//
// https://github.com/huggingface/safetensors#format: offsets count from the end of the header,
// tensors leave no gap, all numbers are little-endian. The header is padded with blanks so that
// data starts on 64 bytes.
#include <slidekit/data/tensor_file.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <slidekit/data/atomic_file.hpp>
#include <slidekit/system/error.hpp>

#include "data/checksum.hpp"
#include "data/mapped_file.hpp"
#include "data/printable.hpp"

namespace slidekit::data {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

namespace {

using nlohmann::json;

constexpr std::size_t kHeaderAlignment = 64;
constexpr const char* kSumName = "checksum";
constexpr std::uint64_t kLargestHeader = 100'000'000;  // as the format's own reader has it

std::uint64_t elements_of(const std::vector<std::uint64_t>& shape) {
    std::uint64_t elements = 1;
    for (const std::uint64_t extent : shape) elements *= extent;
    return elements;
}

// Bytes of an element, 0 for a type that the format does not know.
std::uint64_t element_bytes(std::string_view dtype) {
    struct Type {
        std::string_view name;
        std::uint64_t bytes;
    };
    constexpr std::array<Type, 15> kTypes = {{{"BOOL", 1},
                                              {"U8", 1},
                                              {"I8", 1},
                                              {"F8_E5M2", 1},
                                              {"F8_E4M3", 1},
                                              {"U16", 2},
                                              {"I16", 2},
                                              {"F16", 2},
                                              {"BF16", 2},
                                              {"U32", 4},
                                              {"I32", 4},
                                              {"F32", 4},
                                              {"U64", 8},
                                              {"I64", 8},
                                              {"F64", 8}}};
    const auto type = std::find_if(
        kTypes.begin(), kTypes.end(), [&](const Type& known) { return known.name == dtype; });
    return type == kTypes.end() ? 0 : type->bytes;
}

std::string header_of(std::span<const TensorSource> tensors,
                      const std::map<std::string, std::string>& metadata) {
    nlohmann::ordered_json entries = nlohmann::ordered_json::object();
    if (!metadata.empty()) entries["__metadata__"] = metadata;
    std::uint64_t at = 0;
    for (const TensorSource& tensor : tensors) {
        const std::uint64_t end = at + elements_of(tensor.shape) * element_bytes(tensor.dtype);
        entries[tensor.name] = {
            {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
        at = end;
    }
    // Names of files may be of any encoding, JSON is UTF-8 only: what is not is marked, never an
    // error.
    std::string header = entries.dump(-1, ' ', false, json::error_handler_t::replace);
    const std::size_t used = (sizeof(std::uint64_t) + header.size()) % kHeaderAlignment;
    header.append((kHeaderAlignment - used) % kHeaderAlignment, ' ');
    return header;
}

// A file and the checksum of what has been written to it.
class SummedFile {
public:
    explicit SummedFile(const std::filesystem::path& file) : out_(file) {}

    // In pieces that are still in cache when they are written.
    void write(const void* data, std::size_t count) {
        constexpr std::size_t kPiece = std::size_t{1} << 18;
        const auto* const bytes = static_cast<const std::byte*>(data);
        for (std::size_t at = 0; at < count; at += kPiece) {
            const std::size_t piece = std::min(kPiece, count - at);
            sum_.add({bytes + at, piece});
            out_.write(bytes + at, piece);
        }
    }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.sum(); }
    void commit() { out_.commit(); }

private:
    AtomicFile out_;
    Checksum sum_;
};

void write_tensor(SummedFile& out, const TensorSource& tensor) {
    const std::uint64_t elements = elements_of(tensor.shape);
    if (elements == 0) return;
    const std::size_t columns = tensor.shape.back();
    const std::size_t element = element_bytes(tensor.dtype);
    if (!tensor.read_row && (tensor.shape.size() < 2 || tensor.stride == columns)) {
        out.write(tensor.data, elements * element);
        return;
    }
    // Padded rows are packed in blocks of about a megabyte: one write each, and no second copy of
    // the whole.
    const std::size_t rows = tensor.shape.front();
    const std::size_t row_bytes = columns * element;
    const std::size_t block = std::max<std::size_t>(1, (std::size_t{1} << 20) / row_bytes);
    std::vector<std::byte> packed(std::min(block, rows) * row_bytes);
    const auto* const source = static_cast<const std::byte*>(tensor.data);
    for (std::size_t begin = 0; begin < rows; begin += block) {
        const std::size_t count = std::min(block, rows - begin);
        for (std::size_t i = 0; i < count; ++i) {
            if (tensor.read_row) {
                tensor.read_row(begin + i, reinterpret_cast<float*>(packed.data() + i * row_bytes));
                continue;
            }
            std::copy_n(source + (begin + i) * tensor.stride * element,
                        row_bytes,
                        packed.data() + i * row_bytes);
        }
        out.write(packed.data(), count * row_bytes);
    }
}

}  // namespace

void write_tensors(const std::filesystem::path& file,
                   std::span<const TensorSource> tensors,
                   const std::map<std::string, std::string>& metadata,
                   Checksummed checksummed) {
    std::vector<TensorSource> all(tensors.begin(), tensors.end());
    if (checksummed == Checksummed::yes)
        all.push_back({.name = kSumName, .shape = {1}, .dtype = "U64"});
    const std::string header = header_of(all, metadata);
    const std::uint64_t length = header.size();
    SummedFile out(file);
    out.write(&length, sizeof(length));
    out.write(header.data(), header.size());
    for (const TensorSource& tensor : tensors) write_tensor(out, tensor);
    const std::uint64_t sum = out.sum();
    if (checksummed == Checksummed::yes) out.write(&sum, sizeof(sum));
    out.commit();
}

struct TensorFile::State {
    std::filesystem::path file;
    MappedFile mapping;
    std::map<std::string, std::string> metadata;
    std::vector<TensorInfo> tensors;
    std::map<std::string, std::span<const std::byte>> bytes;

    [[noreturn]] void refuse(const std::string& what) const {
        throw Error(ErrorCode::input,
                    file.string(),
                    "no usable safetensors file: " + what +
                        "; it is damaged or something else: copy it again, or write it anew");
    }
    [[noreturn]] void refuse_use(const std::string& what) const {
        throw Error(ErrorCode::input,
                    file.string(),
                    what + "; the file is whole, but not of this kind: choose another");
    }
    void read_header(std::span<const std::byte> all);
    void read_tensor(const std::string& name, const json& entry, std::span<const std::byte> data);
    void check_cover(std::size_t data_bytes) const;
    [[nodiscard]] const TensorInfo& find(const std::string& name, const char* dtype) const;
    template <class T>
    [[nodiscard]] std::span<const T> elements(const std::string& name) const;
};

void TensorFile::State::read_tensor(const std::string& name,
                                    const json& entry,
                                    std::span<const std::byte> data) {
    const std::string shown = printable(name);
    const auto numbers = [&](const char* key) {
        if (!entry.is_object() || !entry.contains(key) || !entry[key].is_array())
            refuse(fmt::format("tensor {} has no {}", shown, key));
        std::vector<std::uint64_t> values;
        for (const json& value : entry[key]) {
            if (!value.is_number_unsigned())
                refuse(fmt::format("{} of tensor {} are no whole numbers", key, shown));
            values.push_back(value.get<std::uint64_t>());
        }
        return values;
    };
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string())
        refuse(fmt::format("tensor {} has no dtype", shown));
    TensorInfo info{
        .name = name, .shape = numbers("shape"), .dtype = entry["dtype"].get<std::string>()};
    const std::vector<std::uint64_t> offsets = numbers("data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data.size()) {
        refuse(fmt::format("tensor {} lies outside the {} bytes of data", shown, data.size()));
    }
    const std::uint64_t size = offsets[1] - offsets[0];
    std::uint64_t expected = element_bytes(info.dtype);
    if (expected == 0) {
        refuse(fmt::format("tensor {} is of the unknown type {}", shown, in_quotes(info.dtype)));
    }
    for (const std::uint64_t extent : info.shape) {
        if (extent != 0 && expected > std::numeric_limits<std::uint64_t>::max() / extent)
            refuse(fmt::format("tensor {} is too large", shown));
        expected *= extent;
    }
    if (size != expected)
        refuse(fmt::format("tensor {} has {} bytes, its shape needs {}", shown, size, expected));
    bytes[name] = data.subspan(offsets[0], size);
    info.bytes = size;
    tensors.push_back(std::move(info));
}

// Tensors lie one after the other and fill the file: a longer or shorter one has been tampered
// with.
void TensorFile::State::check_cover(std::size_t data_bytes) const {
    std::size_t at = 0;
    for (const TensorInfo& tensor : tensors) {
        const std::span<const std::byte> place = bytes.at(tensor.name);
        const auto begin = static_cast<std::size_t>(
            place.data() - (mapping.bytes().data() + mapping.bytes().size() - data_bytes));
        if (begin != at)
            refuse(
                fmt::format("tensor {} does not follow the one before it", printable(tensor.name)));
        at += place.size();
    }
    if (at != data_bytes) refuse(fmt::format("{} bytes belong to no tensor", data_bytes - at));
}

void TensorFile::State::read_header(std::span<const std::byte> all) {
    std::uint64_t length = 0;
    if (all.size() < sizeof(length)) refuse(fmt::format("it has {} bytes", all.size()));
    std::memcpy(&length, all.data(), sizeof(length));
    if (length > kLargestHeader || length > all.size() - sizeof(length)) {
        refuse(fmt::format("its header would have {} bytes, the file has {}", length, all.size()));
    }
    const char* const text = reinterpret_cast<const char*>(all.data()) + sizeof(length);
    // Not ordered_json, which copies what it holds as it grows, by recursion: brackets a hundred
    // thousand deep would overflow the stack.
    const json header = json::parse(text, text + length, nullptr, false);
    if (!header.is_object()) refuse("its header is no JSON object");
    const std::span<const std::byte> data = all.subspan(sizeof(length) + length);
    for (const auto& [name, entry] : header.items()) {
        if (name != "__metadata__") {
            read_tensor(name, entry, data);
            continue;
        }
        if (!entry.is_object()) refuse("its metadata is no JSON object");
        for (const auto& [key, value] : entry.items()) {
            if (!value.is_string())
                refuse(fmt::format("its metadata {} is no text", in_quotes(key)));
            metadata[key] = value.get<std::string>();
        }
    }
    // An empty tensor may stand where the next one begins.
    const auto place = [&](const TensorInfo& tensor) {
        const std::span<const std::byte> at = bytes.at(tensor.name);
        return std::pair(at.data(), at.size());
    };
    std::stable_sort(tensors.begin(), tensors.end(), [&](const TensorInfo& a, const TensorInfo& b) {
        return place(a) < place(b);
    });
    check_cover(data.size());
}

TensorFile::TensorFile(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
    state_->file = file;
    state_->mapping = MappedFile(file);
    state_->read_header(state_->mapping.bytes());
}

TensorFile::TensorFile(TensorFile&&) noexcept = default;
TensorFile& TensorFile::operator=(TensorFile&&) noexcept = default;
TensorFile::~TensorFile() = default;

const std::map<std::string, std::string>& TensorFile::metadata() const noexcept {
    return state_->metadata;
}
const std::vector<TensorInfo>& TensorFile::tensors() const noexcept { return state_->tensors; }

const TensorInfo& TensorFile::State::find(const std::string& name, const char* dtype) const {
    const auto info = std::find_if(
        tensors.begin(), tensors.end(), [&](const TensorInfo& it) { return it.name == name; });
    if (info == tensors.end()) refuse_use(fmt::format("tensor {} is missing", name));
    if (info->dtype != dtype)
        refuse_use(fmt::format("tensor {} is {}, {} is wanted", name, info->dtype, dtype));
    return *info;
}

template <class T>
std::span<const T> TensorFile::State::elements(const std::string& name) const {
    const std::span<const std::byte> place = bytes.at(name);
    // Files of other writers may start a tensor anywhere; reading elements there is undefined.
    if (reinterpret_cast<std::uintptr_t>(place.data()) % alignof(T) != 0)
        refuse_use(fmt::format("tensor {} is not aligned to {} bytes", name, alignof(T)));
    return {reinterpret_cast<const T*>(place.data()), place.size() / sizeof(T)};
}

std::span<const float> TensorFile::read(const std::string& name,
                                        std::span<const std::uint64_t> shape) const {
    const TensorInfo& info = state_->find(name, "F32");
    if (!std::equal(shape.begin(), shape.end(), info.shape.begin(), info.shape.end())) {
        state_->refuse_use(fmt::format("tensor {} is {}, {} is wanted",
                                       name,
                                       fmt::join(info.shape, " x "),
                                       fmt::join(shape, " x ")));
    }
    return state_->elements<float>(name);
}

std::span<const std::uint32_t> TensorFile::read_u32(const std::string& name) const {
    const TensorInfo& info = state_->find(name, "U32");
    if (info.shape.size() != 1) {
        state_->refuse_use(fmt::format(
            "tensor {} is {}, one dimension is wanted", name, fmt::join(info.shape, " x ")));
    }
    return state_->elements<std::uint32_t>(name);
}

std::span<const std::byte> TensorFile::read_bytes(const std::string& name,
                                                  const char* dtype,
                                                  std::span<const std::uint64_t> shape) const {
    const TensorInfo& info = state_->find(name, dtype);
    if (!std::equal(shape.begin(), shape.end(), info.shape.begin(), info.shape.end())) {
        state_->refuse_use(fmt::format("tensor {} is {}, {} is wanted",
                                       name,
                                       fmt::join(info.shape, " x "),
                                       fmt::join(shape, " x ")));
    }
    return state_->bytes.at(name);
}

void TensorFile::check_sum() const {
    const std::span<const std::byte> all = state_->mapping.bytes();
    std::uint64_t sum = 0;
    const bool ends_in_sum = !state_->tensors.empty() && state_->tensors.back().name == kSumName &&
                             state_->tensors.back().bytes == sizeof(sum);
    if (!ends_in_sum) state_->refuse("it has no checksum");
    std::memcpy(&sum, all.data() + all.size() - sizeof(sum), sizeof(sum));
    if (checksum(all.first(all.size() - sizeof(sum))) != sum)
        state_->refuse("its bytes are not those that were written");
}

}  // namespace slidekit::data
