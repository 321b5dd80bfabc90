// Options that several commands share, and the parsing of values that CLI11 does not know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>
#include <slidekit/train/evaluation.hpp>

namespace slidekit::cli {

/// Where and how a command runs.
/// Where each domain's memory stands: on its node if it can be had, or else not at all, or all on
/// the first domain's (to see what placement is worth).
enum class Place { prefer, require, first };

struct MachineOptions {
    unsigned threads = 0;
    system::HugePages huge_pages = system::HugePages::prefer;
    unsigned domains = 0;
    system::Pinning pinning = system::Pinning::domain;
    Place place = Place::prefer;
    std::string isa;
};
void add_machine_options(CLI::App& command, MachineOptions& options);

/// Applies --isa, says on stderr what SLIDEKIT_ISA asked in vain, and starts the runtime.
[[nodiscard]] system::Runtime start_runtime(const MachineOptions& options);

/// "lsh=200,batch=200,uniform=200"; parts that are left out are 0. Throws Error (usage).
[[nodiscard]] nn::Mix parse_mix(const std::string& text);
[[nodiscard]] std::string mix_text(const nn::Mix& mix);

/// "1,3,5". Throws Error (usage).
[[nodiscard]] std::vector<std::uint32_t> parse_depths(const std::string& text);

/// How `evaluate` and `predict` find labels.
struct RetrievalOptions {
    train::RetrievalMode mode = train::RetrievalMode::exact;
    std::uint32_t hash_k = 0;  // 0: as in training
    std::uint32_t hash_l = 0;
};
void add_retrieval_options(CLI::App& command, RetrievalOptions& options);
/// Throws Error (usage) where tables are described that will not be used.
void check(const RetrievalOptions& options);
/// The model's network, with tables if they are wanted.
[[nodiscard]] nn::Network load_network(system::Runtime& runtime,
                                       const std::string& model,
                                       const RetrievalOptions& options);

/// Loads a data set and says on stderr what was remarkable about it.
[[nodiscard]] data::Dataset load(const std::string& file,
                                 data::CachePolicy cache,
                                 const data::TextSummary* known = nullptr);
/// The same of points that came in another way. `how`: what ends the first line.
void say_shape(const std::string& file,
               const data::PointsView& points,
               const data::DatasetReport& report,
               const std::string& how);
void add_cache_option(CLI::App& command, data::CachePolicy& cache);

/// Throws Error (output) now, not after an hour, where `file` could not be written. Leaves no
/// trace.
void check_writable(const std::string& file);

/// 1.2 GB, 34 MB, 5 kB.
[[nodiscard]] std::string bytes_text(double bytes);
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

}  // namespace slidekit::cli
