// safetensors files: what is written comes back, in the layout of the format; anything else is
// refused.
#include <slidekit/data/tensor_file.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::tensor_file_test {
namespace {

using slidekit::testing::count_files;
using slidekit::testing::file_bytes;
using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

using Shape = std::vector<std::uint64_t>;
using Values = std::vector<float>;

constexpr const char* kOfAnotherKind = "; the file is whole, but not of this kind: choose another";

Values ascending(std::size_t count, float first = 0) {
    Values values(count);
    std::iota(values.begin(), values.end(), first);
    return values;
}

std::uint64_t header_length(const std::string& bytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    return length;
}

// A file of any header over `data` bytes.
std::string file_of(const std::string& header, std::size_t data) {
    const std::uint64_t length = header.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    return bytes + header + std::string(data, '\0');
}

class TensorFiles : public ::testing::Test {
protected:
    Values read(const std::string& name, const Shape& shape) const {
        const TensorFile file(name_);
        const auto values = file.read(name, shape);
        return {values.begin(), values.end()};
    }
    // Two tensors and metadata: 320 bytes and more.
    std::string write_usual() {
        const Values a = ascending(15, 1);
        const Values b = ascending(4, -2);
        const std::array<TensorSource, 2> tensors = {
            TensorSource{.name = "a", .shape = {3, 5}, .data = a.data(), .stride = 5},
            TensorSource{.name = "b", .shape = {4}, .data = b.data(), .stride = 0}};
        write_tensors(name_, tensors, {{"format", "test"}, {"step", "17"}});
        return file_bytes(name_);
    }
    void expect_refused(const std::string& bytes, const std::string& reason) {
        write_file(name_, bytes);
        const std::string message =
            message_of(ErrorCode::input, [&] { const TensorFile file(name_); });
        EXPECT_EQ(message.rfind(name_.string() + ": no usable safetensors file: ", 0), 0U)
            << message;
        EXPECT_NE(message.find(reason), std::string::npos) << message << "\nlacks " << reason;
        EXPECT_TRUE(message.ends_with("copy it again, or write it anew")) << message;
    }
    std::string read_refusal(const std::string& name, const Shape& shape) {
        return message_of(ErrorCode::input, [&] { (void)TensorFile(name_).read(name, shape); });
    }

    TemporaryFolder folder_;
    std::filesystem::path name_ = folder_ / "model.safetensors";
};

TEST_F(TensorFiles, ComeBackAsWritten) {
    write_usual();
    EXPECT_EQ(read("a", {3, 5}), ascending(15, 1));
    EXPECT_EQ(read("b", {4}), ascending(4, -2));
    const TensorFile file(name_);
    EXPECT_EQ(file.metadata(),
              (std::map<std::string, std::string>{{"format", "test"}, {"step", "17"}}));
    ASSERT_EQ(file.tensors().size(), 2U);
    EXPECT_EQ(file.tensors()[0].name, "a");
    EXPECT_EQ(file.tensors()[0].shape, (Shape{3, 5}));
    EXPECT_EQ(file.tensors()[0].dtype, "F32");
    EXPECT_EQ(file.tensors()[1].name, "b");
    EXPECT_EQ(file.tensors()[1].shape, (Shape{4}));
    EXPECT_EQ(count_files(folder_.path()), 1U);
}

TEST_F(TensorFiles, PackRowsThatStandApart) {
    for (const std::uint64_t rows : {1U, 2U, 1000U}) {
        for (const std::uint64_t columns : {1U, 7U, 700U}) {
            const std::size_t stride = columns + 9;
            const Values memory = ascending(rows * stride);
            const TensorSource tensor{
                .name = "w", .shape = {rows, columns}, .data = memory.data(), .stride = stride};
            write_tensors(name_, {&tensor, 1}, {});
            const Values values = read("w", {rows, columns});
            ASSERT_EQ(values.size(), rows * columns);
            for (std::size_t i = 0; i < values.size(); ++i)
                ASSERT_EQ(values[i], memory[i / columns * stride + i % columns]);
        }
    }
}

TEST_F(TensorFiles, MayHaveNoTensorNoMetadataAndNoElements) {
    write_tensors(name_, {}, {});
    EXPECT_TRUE(TensorFile(name_).tensors().empty());
    EXPECT_TRUE(TensorFile(name_).metadata().empty());
    const float one = 1;
    const std::array<TensorSource, 4> tensors = {
        TensorSource{.name = "none", .shape = {0}, .data = nullptr, .stride = 0},
        TensorSource{.name = "one", .shape = {1}, .data = &one, .stride = 0},
        TensorSource{.name = "no rows", .shape = {0, 8}, .data = nullptr, .stride = 16},
        TensorSource{.name = "no columns", .shape = {3, 0}, .data = nullptr, .stride = 16}};
    write_tensors(name_, tensors, {});
    EXPECT_EQ(TensorFile(name_).tensors().size(), 4U);
    EXPECT_EQ(read("one", {1}), Values{1.0F});
    EXPECT_TRUE(read("none", {0}).empty());
    EXPECT_TRUE(read("no rows", {0, 8}).empty());
    EXPECT_TRUE(read("no columns", {3, 0}).empty());
}

TEST_F(TensorFiles, AreLaidOutAsTheFormatSays) {
    const std::string bytes = write_usual();
    const std::uint64_t length = header_length(bytes);
    EXPECT_EQ((8 + length) % 64, 0U);
    EXPECT_EQ(bytes.size(), 8 + length + 19 * sizeof(float));
    const std::string header = bytes.substr(8, length);
    EXPECT_EQ(header.front(), '{');
    EXPECT_EQ(header.find_first_not_of(' ', header.rfind('}') + 1), std::string::npos);
    const nlohmann::json expected = {
        {"__metadata__", {{"format", "test"}, {"step", "17"}}},
        {"a", {{"dtype", "F32"}, {"shape", {3, 5}}, {"data_offsets", {0, 60}}}},
        {"b", {{"dtype", "F32"}, {"shape", {4}}, {"data_offsets", {60, 76}}}}};
    EXPECT_EQ(nlohmann::json::parse(header), expected);
    Values values(19);
    std::memcpy(values.data(), bytes.data() + 8 + length, 19 * sizeof(float));
    Values all = ascending(15, 1);
    for (const float value : ascending(4, -2)) all.push_back(value);
    EXPECT_EQ(values, all);
}

TEST_F(TensorFiles, KeepAnyText) {
    const std::map<std::string, std::string> metadata = {
        {"", "empty name"}, {"quotes", "\"\\\n\t"}, {"umlaut", "\xc3\xa4"}};
    const float value = 3;
    const TensorSource tensor{
        .name = "a \"name\"/\xc3\xb6", .shape = {1}, .data = &value, .stride = 0};
    write_tensors(name_, {&tensor, 1}, metadata);
    EXPECT_EQ(TensorFile(name_).metadata(), metadata);
    EXPECT_EQ(read(tensor.name, {1}), Values{3.0F});
}

TEST_F(TensorFiles, KeepReadableWhatIsNoUtf8) {
    write_tensors(name_, {}, {{"file", "b\xe4r.txt"}});  // a name in Latin-1
    EXPECT_EQ(TensorFile(name_).metadata().at("file"), "b\xef\xbf\xbdr.txt");
}

TEST_F(TensorFiles, OutliveMoveAndReplacement) {
    write_usual();
    TensorFile file(name_);
    TensorFile moved = std::move(file);
    write_tensors(name_, {}, {});
    EXPECT_EQ(moved.read("b", Shape{4})[0], -2.0F);
    moved = TensorFile(name_);
    EXPECT_TRUE(moved.tensors().empty());
}

TEST_F(TensorFiles, OfOtherWritersAreRead) {
    // Names in no order of place, other types beside ours, three dimensions, an empty tensor
    // between.
    write_file(name_,
               file_of(R"({"z":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
                       R"("empty":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},)"
                       R"("half":{"dtype":"BF16","shape":[1,2,2],"data_offsets":[0,8]},)"
                       R"("scalar":{"dtype":"F32","shape":[],"data_offsets":[16,20]}} )",
                       20));
    const TensorFile file(name_);
    ASSERT_EQ(file.tensors().size(), 4U);
    EXPECT_EQ(file.tensors()[0].name, "half");
    EXPECT_EQ(file.tensors()[0].shape, (Shape{1, 2, 2}));
    EXPECT_EQ(file.tensors()[1].name, "empty");
    EXPECT_EQ(file.tensors()[3].name, "scalar");
    EXPECT_EQ(read_refusal("half", {1, 2, 2}),
              name_.string() + ": tensor half is BF16, F32 is wanted" + kOfAnotherKind);
}

TEST_F(TensorFiles, MayListAnEmptyTensorBehindTheOneThatStartsThere) {
    write_file(name_,
               file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                       R"("empty":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                       4));
    EXPECT_EQ(TensorFile(name_).tensors().size(), 2U);
}

TEST_F(TensorFiles, RefuseATensorThatIsNotAsked) {
    write_usual();
    const auto message = [&](const std::string& what) {
        return name_.string() + ": " + what + kOfAnotherKind;
    };
    EXPECT_EQ(read_refusal("c", {4}), message("tensor c is missing"));
    EXPECT_EQ(read_refusal("a", {5, 3}), message("tensor a is 3 x 5, 5 x 3 is wanted"));
    EXPECT_EQ(read_refusal("a", {15}), message("tensor a is 3 x 5, 15 is wanted"));
    EXPECT_EQ(read_refusal("b", {4, 1}), message("tensor b is 4, 4 x 1 is wanted"));
    EXPECT_EQ(read_refusal("b", {}), message("tensor b is 4,  is wanted"));
}

TEST_F(TensorFiles, RefuseFloatsAtAnOddPlace) {
    const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    write_file(name_,
               file_of(header + std::string(5 - header.size() % 4, ' '), 4));  // data at 4n + 1
    EXPECT_NE(read_refusal("a", {1}).find("is not aligned to 4 bytes"), std::string::npos);
}

TEST_F(TensorFiles, RefuseMissingEmptyAndForeignFiles) {
    EXPECT_EQ(
        message_of(ErrorCode::input, [&] { const TensorFile file(name_); }),
        name_.string() +
            ": cannot be read (No such file or directory); check the name and its permissions");
    EXPECT_NE(message_of(ErrorCode::input, [&] { const TensorFile file(folder_.path()); })
                  .find("it is a folder"),
              std::string::npos);
    expect_refused("", "it has 0 bytes");
    expect_refused("1234567", "it has 7 bytes");
    expect_refused("5 100 50\n1,4 0:0.5 99:-2\n", "its header would have");
    expect_refused(std::string(100, '\xff'), "would have 18446744073709551615 bytes");
    expect_refused(std::string(100, '\0'), "its header is no JSON object");
    expect_refused(file_of("{\"a\":", 0), "its header is no JSON object");
    expect_refused(file_of("[]", 0), "its header is no JSON object");
    expect_refused(file_of("{}", 1), "1 bytes belong to no tensor");
    expect_refused(file_of(std::string(1000000, '['), 0), "its header is no JSON object");
}

TEST_F(TensorFiles, RefuseWhatIsTornAnywhere) {
    const std::string whole = write_usual();
    for (std::size_t length = 0; length < whole.size(); ++length)
        expect_refused(whole.substr(0, length), "");
    expect_refused(whole + '\0', "1 bytes belong to no tensor");
}

TEST_F(TensorFiles, NeverCrashOnAFlippedHeader) {
    const std::string whole = write_usual();
    std::size_t refused = 0;
    for (std::size_t at = 0; at < 8 + header_length(whole); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string flipped = whole;
            flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
            write_file(name_, flipped);
            try {
                const TensorFile file(name_);  // a letter of a name may well differ
                for (const TensorInfo& info : file.tensors()) {
                    if (info.dtype != "F32") continue;
                    EXPECT_LE(file.read(info.name, info.shape).size(), 19U);
                }
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::input);
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, 1000U);
}

struct BadHeader {
    std::string header;
    std::size_t data;
    std::string reason;
};

TEST_F(TensorFiles, RefuseGapsOverlapsAndTensorsOutside) {
    const auto two = [](const std::string& first, const std::string& second) {
        return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + first +
               R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + second + "}}";
    };
    for (const BadHeader& bad : std::initializer_list<BadHeader>{
             {two("[0,8]", "[12,20]"), 20, "tensor b does not follow the one before it"},
             {two("[4,12]", "[12,20]"), 20, "tensor a does not follow the one before it"},
             {two("[0,8]", "[4,12]"), 12, "tensor b does not follow the one before it"},
             {two("[0,8]", "[0,8]"), 8, "does not follow the one before it"},
             {two("[0,8]", "[8,16]"), 24, "8 bytes belong to no tensor"},
             {two("[0,8]", "[8,16]"), 15, "tensor b lies outside the 15 bytes of data"},
             {two("[0,8]", "[16,8]"), 16, "tensor b lies outside the 16 bytes"},
             {two("[0,8]", "[18446744073709551608,18446744073709551615]"),
              16,
              "tensor b lies outside the 16 bytes"},
             {two("[0,8]", "[8]"), 16, "tensor b lies outside the 16 bytes"},
             {two("[0,8]", "[8,16,24]"), 16, "tensor b lies outside the 16 bytes"},
             {two("[0,8]", "[8,12]"), 12, "tensor b has 4 bytes, its shape needs 8"},
         }) {
        expect_refused(file_of(bad.header, bad.data), bad.reason);
    }
}

TEST_F(TensorFiles, RefuseEntriesOfAnotherForm) {
    for (const BadHeader& bad : std::initializer_list<BadHeader>{
             {R"({"a":7})", 0, "tensor a has no dtype"},
             {R"({"a":{}})", 0, "tensor a has no dtype"},
             {R"({"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})", 0, "tensor a has no dtype"},
             {R"({"a":{"dtype":"F32","data_offsets":[0,0]}})", 0, "tensor a has no shape"},
             {R"({"a":{"dtype":"F32","shape":3,"data_offsets":[0,0]}})",
              0,
              "tensor a has no shape"},
             {R"({"a":{"dtype":"F32","shape":[0]}})", 0, "tensor a has no data_offsets"},
             {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}})",
              0,
              "shape of tensor a are no whole numbers"},
             {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
              4,
              "shape of tensor a are no whole numbers"},
             {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})",
              4,
              "shape of tensor a are no whole numbers"},
             {R"({"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}})",
              4,
              "no whole numbers"},
             {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
              0,
              "tensor a is too large"},
             {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})",
              0,
              "tensor a is too large"},
             {R"({"__metadata__":7})", 0, "its metadata is no JSON object"},
             {R"({"__metadata__":{"step":17}})", 0, "its metadata \"step\" is no text"},
             {"{\"\xff\":{}}", 0, "its header is no JSON object"},
             {R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})",
              4,
              "tensor a is of the unknown type \"F33\""},
             {R"({"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,4]}})",
              4,
              "tensor a has 4 bytes, its shape needs 8"},
             {R"({"\u001b[31m\u0000":7})", 0, R"(tensor \x1b[31m\x00 has no dtype)"},
         }) {
        expect_refused(file_of(bad.header, bad.data), bad.reason);
    }
}

TEST_F(TensorFiles, RefuseBracketsOfAnyDepth) {
    const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
    expect_refused(file_of(R"({"a":)" + deep + "}", 0), "tensor a has no dtype");
    expect_refused(
        file_of(R"({"a":{"dtype":"F32","shape":)" + deep + R"(,"data_offsets":[0,4]}})", 4),
        "shape of tensor a are no whole numbers");
}

TEST_F(TensorFiles, RefuseAPipeRatherThanWait) {
    ASSERT_EQ(::mkfifo(name_.c_str(), 0600), 0);
    EXPECT_NE(message_of(ErrorCode::input, [&] { const TensorFile file(name_); })
                  .find("it is a pipe or a device"),
              std::string::npos);
}

TEST_F(TensorFiles, AreNotWrittenIntoAMissingFolder) {
    const std::filesystem::path file = folder_ / "absent/model";
    const std::string message = message_of(ErrorCode::output, [&] { write_tensors(file, {}, {}); });
    EXPECT_EQ(message.rfind(file.string() + ": cannot be written (No such file or directory)", 0),
              0U)
        << message;
    EXPECT_EQ(count_files(folder_.path()), 0U);
}

// As on a full disk: no file may grow beyond `bytes` while this lives.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limited{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limited);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        (void)std::signal(SIGXFSZ, handler_);
    }

private:
    rlimit before_{};
    void (*handler_)(int);
};

TEST_F(TensorFiles, StayAsTheyWereWhereWritingFails) {
    const std::string before = write_usual();
    const Values memory = ascending(100000);
    for (const std::size_t stride : {100U, 200U}) {
        const TensorSource tensor{
            .name = "w", .shape = {500, 100}, .data = memory.data(), .stride = stride};
        std::string message;
        for (const rlim_t limit : {rlim_t{0}, rlim_t{4}, rlim_t{100}, rlim_t{100000}}) {
            {
                const FileSizeLimit limited(limit);
                message = message_of(ErrorCode::output, [&] {
                    write_tensors(name_, {&tensor, 1}, {});
                });
            }
            EXPECT_EQ(message.rfind(name_.string() + ": cannot be written (File too large)", 0), 0U)
                << message;
            EXPECT_EQ(file_bytes(name_), before);
            EXPECT_EQ(count_files(folder_.path()), 1U);
        }
    }
}

TEST_F(TensorFiles, WholeNumbersComeBackAndAreNotTakenForFloats) {
    const std::vector<std::uint32_t> ids = {0, 7, 0xffffffffU};
    const std::vector<float> floats = {1, 2};
    const std::array<TensorSource, 2> tensors = {
        TensorSource{.name = "ids", .shape = {3}, .data = ids.data(), .dtype = "U32"},
        TensorSource{.name = "matrix", .shape = {2, 1}, .data = floats.data(), .stride = 1}};
    write_tensors(name_, tensors, {});
    const TensorFile file(name_);
    const auto read = file.read_u32("ids");
    EXPECT_EQ(std::vector<std::uint32_t>(read.begin(), read.end()), ids);
    EXPECT_THROW((void)file.read("ids", Shape{3}), Error);
    EXPECT_THROW((void)file.read_u32("matrix"), Error);
    EXPECT_THROW((void)file.read_u32("none"), Error);
}

}  // namespace
}  // namespace slidekit::data::tensor_file_test
