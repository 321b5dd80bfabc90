// Borrowed views that the kernels read and write: matrices of rows, sparse vectors, groups.
//
// All are plain aggregates of pointers and sizes: a kernel copies nothing and owns nothing, and the
// caller keeps the memory alive for the call. Nothing has to be aligned; rows that start on a
// 64-byte boundary are faster.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slidekit::kernels {

/// A number in bfloat16: the upper half of a float's bits. Eight bits of precision, float's range.
struct Bf16 {
    std::uint16_t bits = 0;
};

/// A matrix whose row i starts at data + i * stride; elements dim..stride-1 of a row are padding
/// that no kernel reads or writes.
template <class T>
struct RowMatrix {
    T* data = nullptr;
    std::size_t rows = 0;
    std::size_t dim = 0;
    std::size_t stride = 0;

    [[nodiscard, gnu::always_inline]] constexpr T* row(std::size_t i) const noexcept {
        return data + i * stride;
    }
    [[gnu::always_inline]] constexpr operator RowMatrix<const T>() const noexcept {
        return {data, rows, dim, stride};
    }
};

/// A sparse vector: values[i] stands at coordinate ids[i]; ids in any order, repeats add up.
struct SparseView {
    const std::uint32_t* ids = nullptr;
    const float* values = nullptr;
    std::size_t nnz = 0;
};

/// One use of a row: by which vector of the batch, and where the value of the pair (row, vector)
/// lives.
struct Member {
    std::uint32_t vector = 0;
    std::uint32_t slot = 0;
};

/// Pairs (row, vector) grouped by row, as CSR: group g concerns row ids[g] and the vectors
/// members[starts[g]] .. members[starts[g + 1] - 1]. ids are distinct and ascending.
///
/// The values of the pairs stay where they were made (one run a sample, for instance), so that both
/// orders, by row and by vector, see one array: pair p of a group has its value at members[p].slot.
struct GroupsView {
    const std::uint32_t* ids = nullptr;
    const std::uint32_t* starts = nullptr;  // count + 1 entries; they need not begin at 0
    const Member* members = nullptr;
    std::size_t count = 0;
    std::size_t slots = 0;  // every slot is below it: the size of the array of values
};

}  // namespace slidekit::kernels
