// Metrics in commands: the constants of PSP@k as options, the numbers as JSON and as lines.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <slidekit/train/metrics.hpp>

namespace slidekit::cli {

struct PropensityOptions {
    std::string set;  // empty: default
    std::optional<double> a;
    std::optional<double> b;

    [[nodiscard]] bool given() const { return !set.empty() || a || b; }
};
void add_propensity_options(CLI::App& command, PropensityOptions& options);
/// Throws Error (usage) for constants that are none, and for both a set's name and constants.
[[nodiscard]] train::PropensityModel propensity_model(const PropensityOptions& options);

/// points, then p_at_K, ndcg_at_K, recall_at_K and psp_at_K, from 0 to 1.
[[nodiscard]] nlohmann::ordered_json metrics_json(const train::Metrics& metrics);
/// The same in percent, a line each.
[[nodiscard]] std::string metrics_text(const train::Metrics& metrics);

}  // namespace slidekit::cli
