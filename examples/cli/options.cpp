// Shared options; see the header.
#include "options.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>

#include <slidekit/kernels/isa.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/model_file.hpp>

namespace slidekit::cli {

namespace {

// The whole of `text` as a number of at most `most`.
std::uint32_t parse_number(const std::string& option, std::string_view text, std::uint32_t most) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > most) {
        throw Error(ErrorCode::usage,
                    option,
                    fmt::format("\"{}\" is no whole number from 0 to {}", text, most));
    }
    return value;
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

}  // namespace

void add_machine_options(CLI::App& command, MachineOptions& options) {
    command.add_option("--threads", options.threads, "Worker threads (0: one a processor)")
        ->capture_default_str()
        ->check(CLI::Range(0, 1024));
    static const std::map<std::string, system::HugePages> kHugePages = {
        {"prefer", system::HugePages::prefer},
        {"require", system::HugePages::require},
        {"never", system::HugePages::never}};
    command.add_option("--huge-pages", options.huge_pages, "prefer, require or never")
        ->transform(CLI::CheckedTransformer(kHugePages).description(""))
        ->default_str("prefer");
    command
        .add_option("--domains",
                    options.domains,
                    "Memory domains that layers are cut over (0: one a memory node)")
        ->capture_default_str()
        ->check(CLI::Range(0U, system::kMostDomains));
    static const std::map<std::string, system::Pinning> kPinning = {
        {"none", system::Pinning::none},
        {"domain", system::Pinning::domain},
        {"processor", system::Pinning::processor}};
    command
        .add_option("--pin",
                    options.pinning,
                    "Threads run where the system puts them (none), on their domain's processors "
                    "(domain), each on one (processor)")
        ->transform(CLI::CheckedTransformer(kPinning).description(""))
        ->default_str("domain");
    static const std::map<std::string, Place> kPlace = {
        {"prefer", Place::prefer}, {"require", Place::require}, {"first", Place::first}};
    command
        .add_option("--placement",
                    options.place,
                    "A domain's memory stands on its node: prefer, require, or all on the first "
                    "one's, for comparison (first)")
        ->transform(CLI::CheckedTransformer(kPlace).description(""))
        ->default_str("prefer");
    command.add_option("--isa",
                       options.isa,
                       "Highest instruction set: scalar, avx2, avx512 or avx512bf16 (default: the "
                       "best)");
}

system::Runtime start_runtime(const MachineOptions& options) {
    if (!options.isa.empty()) {
        const std::optional<kernels::Isa> isa = kernels::parse_isa(options.isa);
        if (!isa || !kernels::select_isa(*isa)) {
            throw Error(
                ErrorCode::usage,
                "--isa",
                fmt::format("\"{}\" is {}; this machine runs up to {}",
                            options.isa,
                            isa ? "not supported here" : "none of scalar, avx2, avx512, avx512bf16",
                            kernels::isa_name(kernels::active_isa())));
        }
    } else if (!kernels::isa_complaint().empty()) {
        fmt::print(stderr, "slidekit: {}\n", kernels::isa_complaint());
    }
    return system::Runtime(
        {.threads = options.threads,
         .huge_pages = options.huge_pages,
         .domains = options.domains,
         .pinning = options.pinning,
         .placement_strictness = options.place == Place::require ? system::Strictness::require
                                                                 : system::Strictness::prefer,
         .memory_place = options.place == Place::first ? system::MemoryPlace::first
                                                       : system::MemoryPlace::owner});
}

nn::Mix parse_mix(const std::string& text) {
    constexpr std::uint32_t kMost = 1'000'000;
    nn::Mix mix{.lsh = 0, .batch = 0, .uniform = 0};
    for (const std::string_view part : split(text)) {
        const std::size_t equals = part.find('=');
        const std::string_view name = part.substr(0, equals);
        std::uint32_t* const value = name == "lsh"       ? &mix.lsh
                                     : name == "batch"   ? &mix.batch
                                     : name == "uniform" ? &mix.uniform
                                                         : nullptr;
        if (value == nullptr || equals == std::string_view::npos) {
            throw Error(ErrorCode::usage,
                        "--mix",
                        fmt::format("\"{}\" is none of lsh=N, batch=N, uniform=N", part));
        }
        *value = parse_number("--mix", part.substr(equals + 1), kMost);
    }
    if (mix.lsh + mix.batch + mix.uniform == 0) {
        throw Error(ErrorCode::usage,
                    "--mix",
                    "all parts are 0: nothing to learn against; give at least one");
    }
    return mix;
}

std::string mix_text(const nn::Mix& mix) {
    return fmt::format("lsh={},batch={},uniform={}", mix.lsh, mix.batch, mix.uniform);
}

std::vector<std::uint32_t> parse_depths(const std::string& text) {
    constexpr std::uint32_t kMost = 10'000;
    std::vector<std::uint32_t> depths;
    for (const std::string_view part : split(text)) {
        depths.push_back(parse_number("--top-k", part, kMost));
        if (depths.back() == 0)
            throw Error(ErrorCode::usage, "--top-k", "0 is no depth; give 1 or more");
    }
    return depths;
}

void add_cache_option(CLI::App& command, data::CachePolicy& cache) {
    static const std::map<std::string, data::CachePolicy> kCachePolicies = {
        {"use", data::CachePolicy::use}, {"ignore", data::CachePolicy::ignore}};
    command
        .add_option("--cache", cache, "use or ignore the binary cache FILE.cache beside a data set")
        ->transform(CLI::CheckedTransformer(kCachePolicies).description(""))
        ->default_str("use");
}

void add_retrieval_options(CLI::App& command, RetrievalOptions& options) {
    static const std::map<std::string, train::RetrievalMode> kModes = {
        {"exact", train::RetrievalMode::exact},
        {"lsh", train::RetrievalMode::lsh},
        {"scan", train::RetrievalMode::scan}};
    command
        .add_option("--retrieval",
                    options.mode,
                    "exact: over all labels; lsh: among the candidates of hash tables; scan: over "
                    "8-bit copies of the labels met in training")
        ->transform(CLI::CheckedTransformer(kModes).description(""))
        ->default_str("exact");
    command.add_option("--hash-k", options.hash_k, "Codes a table (0: as in training)")
        ->capture_default_str()
        ->check(CLI::Range(0U, lsh::kMaxKeyBits));
    command.add_option("--hash-l", options.hash_l, "Tables (0: as in training)")
        ->capture_default_str()
        ->check(CLI::Range(0U, lsh::kMaxTables));
}

void check(const RetrievalOptions& options) {
    if (options.mode == train::RetrievalMode::lsh) return;
    const char* const flag = options.hash_k > 0   ? "--hash-k"
                             : options.hash_l > 0 ? "--hash-l"
                                                  : nullptr;
    if (flag != nullptr) {
        throw Error(ErrorCode::usage,
                    flag,
                    "describes hash tables, but --retrieval is not lsh; leave it out or choose "
                    "--retrieval lsh");
    }
}

nn::Network load_network(system::Runtime& runtime,
                         const std::string& model,
                         const RetrievalOptions& options) {
    if (options.mode == train::RetrievalMode::exact) return train::load_model(runtime, model);
    nn::RetrievalSetup setup = train::read_retrieval(model);
    nn::Network network = train::load_model(runtime, model);
    lsh::HashConfig hash = setup.output.hash;
    if (options.hash_k > 0) hash.k = options.hash_k;
    if (options.hash_l > 0) hash.l = options.hash_l;
    setup.output.hash = hash;
    (void)lsh::key_bits(hash);  // refuses keys that are too wide
    const std::size_t rows = setup.met.size();
    const nn::RebuildReport built = network.index(std::move(setup));
    if (options.mode == train::RetrievalMode::scan) return network;
    fmt::print(stderr,
               "{}: {} tables, K = {}, of {} rows; {:.2f} s\n",
               model,
               hash.l,
               hash.k,
               rows,
               built.seconds);
    return network;
}

void say_shape(const std::string& file,
               const data::PointsView& points,
               const data::DatasetReport& report,
               const std::string& how) {
    fmt::print(stderr,
               "{}: {} points, {} features, {} labels; {}\n",
               file,
               points.points,
               points.features,
               points.labels,
               how);
    if (report.points_without_labels > 0 || report.points_without_features > 0) {
        fmt::print(stderr,
                   "{}: {} points have no label, {} no feature\n",
                   file,
                   report.points_without_labels,
                   report.points_without_features);
    }
}

data::Dataset load(const std::string& file,
                   data::CachePolicy cache,
                   const data::TextSummary* known) {
    data::Dataset dataset = data::load_dataset(file, cache, known);
    const data::DatasetReport& report = dataset.report();
    say_shape(file,
              dataset.view(),
              report,
              fmt::format("{:.2f} s{}{}",
                          report.seconds,
                          report.from_cache ? " from its cache" : "",
                          dataset.view().label_values.empty() ? "" : "; labels have values"));
    if (!report.cache_note.empty()) fmt::print(stderr, "{}: {}\n", file, report.cache_note);
    return dataset;
}

void check_writable(const std::string& file) {
    const bool existed = std::filesystem::exists(file);
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        throw Error(
            ErrorCode::output,
            file,
            fmt::format("cannot be written ({}); give a file in a folder that exists and is yours",
                        std::strerror(errno)));
    }
    ::close(descriptor);
    if (!existed) ::unlink(file.c_str());
}

std::string bytes_text(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

std::string bytes_text(double bytes) {
    if (bytes >= 1e9) return fmt::format("{:.2f} GB", bytes / 1e9);
    if (bytes >= 1e6) return fmt::format("{:.0f} MB", bytes / 1e6);
    return fmt::format("{:.0f} kB", bytes / 1e3);
}

}  // namespace slidekit::cli
