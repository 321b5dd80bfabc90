// Metrics as options and as output.
#include "metrics.hpp"

#include <array>
#include <cmath>
#include <map>
#include <vector>

#include <fmt/core.h>

#include <slidekit/system/error.hpp>

namespace slidekit::cli {

namespace {

const std::map<std::string, train::PropensityModel> kModels = {
    {"default", train::PropensityModel{}},
    {"amazon", train::kAmazonPropensity},
    {"wiki", train::kWikiPropensity}};

struct Kind {
    const char* key;
    const char* title;
    const std::vector<double>& values;
};

std::array<Kind, 4> kinds_of(const train::Metrics& metrics) {
    return {{{"p", "P", metrics.precision},
             {"ndcg", "nDCG", metrics.ndcg},
             {"recall", "recall", metrics.recall},
             {"psp", "PSP", metrics.psp}}};
}

}  // namespace

void add_propensity_options(CLI::App& command, PropensityOptions& options) {
    command
        .add_option("--propensity",
                    options.set,
                    "Constants of PSP@k as the repository has them for kinds of data: default "
                    "(A 0.55, B 1.5), amazon (0.6, 2.6) or wiki (0.5, 0.4)")
        ->check(CLI::IsMember({"default", "amazon", "wiki"}));
    command.add_option("--propensity-a", options.a, "A of PSP@k's propensities (default 0.55)");
    command.add_option("--propensity-b", options.b, "B of PSP@k's propensities (default 1.5)");
}

train::PropensityModel propensity_model(const PropensityOptions& options) {
    constexpr double kMost = 1000;
    if (!options.set.empty() && (options.a || options.b)) {
        throw Error(ErrorCode::usage,
                    "--propensity",
                    fmt::format("{} has its own constants, but --propensity-{} gives one; leave "
                                "one of the two out",
                                options.set,
                                options.a ? 'a' : 'b'));
    }
    if (!options.set.empty()) return kModels.at(options.set);
    train::PropensityModel model;
    if (options.a) model.a = *options.a;
    if (options.b) model.b = *options.b;
    if (!(model.a >= 0 && model.a <= kMost))
        throw Error(ErrorCode::usage,
                    "--propensity-a",
                    fmt::format("{} is not from 0 to {}; the usual is 0.55", model.a, kMost));
    if (!(model.b > 0 && model.b <= kMost))
        throw Error(
            ErrorCode::usage,
            "--propensity-b",
            fmt::format("{} is not above 0 and up to {}; the usual is 1.5", model.b, kMost));
    return model;
}

nlohmann::ordered_json metrics_json(const train::Metrics& metrics) {
    nlohmann::ordered_json json = {{"points", metrics.points}};
    for (const Kind& kind : kinds_of(metrics)) {
        for (std::size_t i = 0; i < kind.values.size(); ++i)
            json[fmt::format("{}_at_{}", kind.key, metrics.depths[i])] = kind.values[i];
    }
    return json;
}

std::string metrics_text(const train::Metrics& metrics) {
    std::string text = fmt::format("points {}\n", metrics.points);
    for (const Kind& kind : kinds_of(metrics)) {
        for (std::size_t i = 0; i < kind.values.size(); ++i)
            text += fmt::format(
                "{}@{} {:.2f} %\n", kind.title, metrics.depths[i], 100 * kind.values[i]);
    }
    return text;
}

}  // namespace slidekit::cli
