// The two visitors of a state file.
#include "train/state_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <vector>

namespace slidekit::train {

namespace {

class Writer final : public nn::StateVisitor {
public:
    [[nodiscard]] bool restoring() const noexcept override { return false; }
    void array(const nn::StateArray& array) override {
        tensors.push_back({.name = array.name,
                           .shape = {array.rows, array.columns},
                           .data = array.data,
                           .stride = array.stride,
                           .dtype = array.type});
        if (array.rows == 1) tensors.back().shape = {array.columns};
    }
    void words(const std::string& name, const char* type, std::span<std::uint64_t> words) override {
        const auto& kept = words_.emplace_back(words.begin(), words.end());
        tensors.push_back(
            {.name = name, .shape = {kept.size()}, .data = kept.data(), .dtype = type});
    }

    std::vector<data::TensorSource> tensors;

private:
    std::deque<std::vector<std::uint64_t>> words_;
};

class Restorer final : public nn::StateVisitor {
public:
    explicit Restorer(const data::TensorFile& file) : file_(file) {}

    [[nodiscard]] bool restoring() const noexcept override { return true; }
    void array(const nn::StateArray& array) override {
        const std::array<std::uint64_t, 2> shape = {array.rows, array.columns};
        const std::span<const std::byte> bytes = file_.read_bytes(
            array.name, array.type, std::span(shape).subspan(array.rows == 1 ? 1 : 0));
        const std::size_t row = array.columns * array.element_bytes;
        const std::size_t stride = array.stride * array.element_bytes;
        for (std::size_t i = 0; i < array.rows; ++i)
            std::copy_n(bytes.data() + i * row, row, array.data + i * stride);
    }
    void words(const std::string& name, const char* type, std::span<std::uint64_t> words) override {
        const std::span<const std::byte> bytes =
            file_.read_bytes(name, type, std::array{std::uint64_t{words.size()}});
        std::memcpy(words.data(), bytes.data(), bytes.size());
    }

private:
    const data::TensorFile& file_;
};

}  // namespace

void write_state(const std::filesystem::path& file,
                 StateWalk walk,
                 const std::map<std::string, std::string>& metadata) {
    Writer writer;
    walk(writer);
    data::write_tensors(file, writer.tensors, metadata, data::Checksummed::yes);
}

void restore_state(const data::TensorFile& file, StateWalk walk) {
    Restorer restorer(file);
    walk(restorer);
}

}  // namespace slidekit::train
