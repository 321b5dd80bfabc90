// The order in which scan_rows_i8 looks at its pairs: blocks of rows, and in these of vectors, of
// the size that suits tiles of bytes.
#pragma once

#include <cstddef>

namespace slidekit::kernels::detail {
namespace {

struct ScanBlock {
    static constexpr std::size_t kRows = 32;
    static constexpr std::size_t kVectors = 64;

    std::size_t row, row_end;
    std::size_t vector, vector_end;

    [[nodiscard]] std::size_t rows() const noexcept { return row_end - row; }
    [[nodiscard]] std::size_t vectors() const noexcept { return vector_end - vector; }
};

template <class Body>
void for_scan_blocks(std::size_t rows, std::size_t vectors, const Body& body) noexcept {
    const auto end = [](std::size_t begin, std::size_t size, std::size_t all) {
        return all - begin < size ? all : begin + size;
    };
    for (std::size_t i = 0; i < rows; i += ScanBlock::kRows) {
        for (std::size_t s = 0; s < vectors; s += ScanBlock::kVectors)
            body(ScanBlock{
                i, end(i, ScanBlock::kRows, rows), s, end(s, ScanBlock::kVectors, vectors)});
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
