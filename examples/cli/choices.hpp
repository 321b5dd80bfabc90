// Names of choices on the command line and in configuration files, and values that follow from the
// data where an option says auto.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>

namespace slidekit::cli {

template <class T>
using Names = std::map<std::string, T>;

inline const Names<lsh::HashFamily> kFamilies = {{"simhash", lsh::HashFamily::simhash},
                                                 {"hadamard", lsh::HashFamily::hadamard},
                                                 {"dwta", lsh::HashFamily::dwta},
                                                 {"wta", lsh::HashFamily::wta},
                                                 {"doph", lsh::HashFamily::doph},
                                                 {"pstable", lsh::HashFamily::pstable},
                                                 {"crosspolytope", lsh::HashFamily::crosspolytope},
                                                 {"sparse-dwta", lsh::HashFamily::sparse_dwta}};
inline const Names<lsh::Packing> kPackings = {{"concat", lsh::Packing::concat},
                                              {"slide-compat", lsh::Packing::slide_compat}};
inline const Names<nn::Centre> kCentres = {{"on", nn::Centre::on}, {"off", nn::Centre::off}};
inline const Names<nn::Rank> kRanks = {
    {"dot", nn::Rank::dot}, {"dot-fp32", nn::Rank::dot_fp32}, {"count", nn::Rank::count}};
inline const Names<nn::Sampling> kSamplings = {{"top-k", nn::Sampling::top_k},
                                               {"vanilla", nn::Sampling::vanilla},
                                               {"threshold", nn::Sampling::threshold},
                                               {"union", nn::Sampling::all},
                                               {"none", nn::Sampling::none},
                                               {"exact", nn::Sampling::exact},
                                               {"standout", nn::Sampling::standout}};
inline const Names<lsh::BucketPolicy> kPolicies = {{"reservoir", lsh::BucketPolicy::reservoir},
                                                   {"fifo", lsh::BucketPolicy::fifo}};
inline const Names<nn::Optimizer> kOptimizers = {{"adam", nn::Optimizer::adam},
                                                 {"adam-dense", nn::Optimizer::adam_dense},
                                                 {"adagrad-row", nn::Optimizer::adagrad_row},
                                                 {"sgd", nn::Optimizer::sgd},
                                                 {"momentum", nn::Optimizer::momentum}};
inline const Names<nn::Precision> kPrecisions = {{"fp32", nn::Precision::fp32},
                                                 {"bf16", nn::Precision::bf16}};
inline const Names<nn::Loss> kLosses = {
    {"softmax", nn::Loss::softmax}, {"sigmoid", nn::Loss::sigmoid}, {"squared", nn::Loss::squared}};

template <class T>
std::string names_text(const Names<T>& names) {
    std::string all;
    for (const auto& [name, unused] : names) all += (all.empty() ? "" : ", ") + name;
    return all;
}

template <class T>
std::optional<T> value_of(const Names<T>& names, const std::string& name) {
    for (const auto& [known, value] : names) {
        if (known == name) return value;
    }
    return std::nullopt;
}

template <class T>
const std::string& name_of(const Names<T>& names, T value) {
    return std::find_if(
               names.begin(), names.end(), [&](const auto& entry) { return entry.second == value; })
        ->first;
}

template <class T>
void add_choice(CLI::App& command,
                const std::string& flag,
                T& value,
                const Names<T>& names,
                const std::string& help) {
    command.add_option(flag, value, help + ": " + names_text(names))
        ->transform(CLI::CheckedTransformer(names).description(""))
        ->default_str(name_of(names, value));
}

// Without a default: what another option says.
template <class T>
void add_optional_choice(CLI::App& command,
                         const std::string& flag,
                         std::optional<T>& value,
                         const Names<T>& names,
                         const std::string& help) {
    command
        .add_option_function<T>(
            flag, [&value](const T& chosen) { value = chosen; }, help + ": " + names_text(names))
        ->transform(CLI::CheckedTransformer(names).description(""));
}

// Codes a table so that a bucket holds about 35 neurons on average: fewer and the true labels are
// missed, more and ranking the candidates costs more than it finds (bench/README.md). A DWTA code
// has three bits; the keys of doph and pstable have as many bits whatever their K.
inline std::uint32_t auto_key_bits(std::size_t neurons) {
    constexpr double kNeuronsPerBucket = 35;
    return static_cast<std::uint32_t>(std::clamp(
        std::round(std::log2(static_cast<double>(neurons) / kNeuronsPerBucket)), 1.0, 20.0));
}

inline std::uint32_t auto_hash_k(lsh::HashFamily family, std::uint32_t key_bits) {
    switch (family) {
        case lsh::HashFamily::simhash:
        case lsh::HashFamily::hadamard: return key_bits;
        case lsh::HashFamily::dwta:
        case lsh::HashFamily::sparse_dwta:
        case lsh::HashFamily::wta: return std::max(1U, (key_bits + 1) / 3);
        case lsh::HashFamily::doph: return 2;
        case lsh::HashFamily::pstable: return 4;
        case lsh::HashFamily::crosspolytope: return std::max(1U, (key_bits + 3) / 6);
    }
    return key_bits;
}

// Four times an average bucket, as a power of two: 128 for K that was chosen by auto_hash_k.
inline std::uint32_t auto_bucket_cap(std::size_t neurons, std::uint32_t key_bits) {
    const double average = static_cast<double>(neurons) / std::exp2(key_bits);
    return 1U << static_cast<unsigned>(std::clamp(std::round(std::log2(4 * average)), 4.0, 20.0));
}

// The number that an option holds, or `chosen` where it says auto.
template <class T>
T resolve(const char* flag, const std::string& text, T least, T chosen) {
    T value = 0;
    if (text == "auto") return chosen;
    const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !CLI::detail::lexical_cast(text, value) || value < least) {
        throw Error(
            ErrorCode::usage,
            flag,
            fmt::format("\"{}\" is neither auto nor a whole number from {} on", text, least));
    }
    return value;
}

}  // namespace slidekit::cli
