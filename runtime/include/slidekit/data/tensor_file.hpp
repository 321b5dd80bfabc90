// safetensors files: named tensors behind a JSON header, readable by anybody's safetensors.
//
// Written to a temporary name in the same folder, synced and renamed, so that a name never holds
// half a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// A tensor to be written: rows of `shape.back()` elements that stand `stride` apart in memory.
struct TensorSource {
    std::string name;
    std::vector<std::uint64_t> shape;  // one or two dimensions
    const void* data = nullptr;
    std::size_t stride = 0;  // elements from row to row; for one dimension unused
    std::string dtype = "F32";
    /// Instead of data: copies row i, of two dimensions, to `out`. F32 only.
    std::function<void(std::size_t i, float* out)> read_row = nullptr;
};

/// Whether a file ends in a checksum of all that is before it: a tensor "checksum" of one U64.
enum class Checksummed { no, yes };

/// Writes tensors and string metadata. Throws Error (output); an existing file of that
/// name is replaced at once or left as it was.
SLIDEKIT_API void write_tensors(const std::filesystem::path& file,
                                std::span<const TensorSource> tensors,
                                const std::map<std::string, std::string>& metadata,
                                Checksummed checksummed = Checksummed::no);

struct TensorInfo {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::string dtype;  // "F32"
    std::uint64_t bytes = 0;
};

/// A safetensors file mapped for reading. Const use from many threads.
class SLIDEKIT_API TensorFile {
public:
    /// Throws Error (input) for a missing, foreign, torn or inconsistent file, saying which.
    explicit TensorFile(const std::filesystem::path& file);
    TensorFile(TensorFile&&) noexcept;
    TensorFile& operator=(TensorFile&&) noexcept;
    ~TensorFile();

    [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept;
    [[nodiscard]] const std::vector<TensorInfo>& tensors()
        const noexcept;  // in order of their place

    /// The elements of an F32 tensor of this shape. Throws Error (input) where it is absent or
    /// differs.
    [[nodiscard]] std::span<const float> read(const std::string& name,
                                              std::span<const std::uint64_t> shape) const;
    /// The same of a U32 tensor of one dimension, whatever its length.
    [[nodiscard]] std::span<const std::uint32_t> read_u32(const std::string& name) const;

    /// The bytes of a tensor of this type and shape, wherever they start. Throws Error (input)
    /// where it is absent or differs.
    [[nodiscard]] std::span<const std::byte> read_bytes(const std::string& name,
                                                        const char* dtype,
                                                        std::span<const std::uint64_t> shape) const;

    /// Reads all of a file that was written with a checksum. Throws Error (input) where it has
    /// none, or another one.
    void check_sum() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::data
