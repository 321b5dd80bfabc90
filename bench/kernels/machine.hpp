// The machine's own limits, measured in the process that measures the kernels: streams from each
// cache and from memory, rows of a table read (or read and written) at random, peaks of arithmetic.
//
// Nothing here computes anything of use: what a probe takes is what moving the same bytes takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace slidekit::bench {

struct Caches {
    std::size_t l1_bytes;
    std::size_t l2_bytes;
    std::size_t l3_bytes;
};
[[nodiscard]] Caches read_caches();

/// Bytes and operations a second, of one thread. A multiply-add is two operations.
struct Limits {
    double l1_bytes;
    double l2_bytes;
    double l3_bytes;
    double memory_bytes;
    double f32_flops;
    double bf16_flops;
    double i8_flops;
};
[[nodiscard]] Limits measure_limits(const Caches& caches);

/// A table whose rows a kernel touches: `row_bytes` of each are read, and written where it says so.
struct ProbedTable {
    std::byte* data;
    std::size_t bytes;
    std::size_t stride_bytes;
    std::size_t row_bytes;
    bool written;
};

/// How rows are asked for before their turn, as the kernels do: 8 KB ahead into L1, or 16 KB ahead
/// into L2. Which is faster hangs on the processor and on the length of the list.
enum class Fetch { into_l1, into_l2 };

/// The rows `ids` of all tables, in this order. Written rows keep their values.
void probe_rows(const std::vector<ProbedTable>& tables,
                const std::uint32_t* ids,
                std::size_t count,
                Fetch fetch);

/// All of the tables, from front to back.
void probe_sweep(const std::vector<ProbedTable>& tables);

/// Numbers so small that arithmetic on them is slow count as zero in this thread from now on. A
/// kernel that works in place is called on its own results, and would end among them.
void flush_denormals();

/// What the machine calls itself, and how its huge pages are set; and the vectors of the probes.
[[nodiscard]] std::string cpu_name();
[[nodiscard]] std::string huge_page_mode();
[[nodiscard]] std::size_t numa_nodes();

}  // namespace slidekit::bench
