// slidekit inspect: what a model, a checkpoint or a data set holds.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <slidekit/data/tensor_file.hpp>

#include "commands.hpp"
#include "options.hpp"

namespace slidekit::cli {

namespace {

// A safetensors file opens with eight bytes of length and a brace; a data set with a digit (or
// gzip's mark).
bool looks_like_tensors(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::array<char, 9> head{};
    return in.read(head.data(), head.size()) && head[8] == '{';
}

// What a checkpoint says of its run: a line a section.
void print_checkpoint(const std::string& text) {
    const nlohmann::json run = nlohmann::json::parse(text, nullptr, false);
    for (const auto& [key, value] : run.items()) {
        fmt::print("checkpoint.{}:", key);
        for (const auto& [name, field] : value.items())
            fmt::print(" {}{}",
                       value.is_object() ? name + "=" : "",
                       field.is_string() ? field.get<std::string>() : field.dump());
        fmt::print("\n");
    }
}

void inspect_tensors(const std::string& name) {
    const data::TensorFile file(name);
    const auto checkpoint = file.metadata().find("slidekit.checkpoint");
    if (checkpoint != file.metadata().end()) file.check_sum();
    double bytes = 0;
    for (const data::TensorInfo& tensor : file.tensors()) {
        fmt::print("{:<16} {} {}  {}\n",
                   tensor.name,
                   tensor.dtype,
                   fmt::join(tensor.shape, " x "),
                   bytes_text(tensor.bytes));
        bytes += static_cast<double>(tensor.bytes);
    }
    fmt::print("{} tensors, {}\n", file.tensors().size(), bytes_text(bytes));
    for (const auto& [key, value] : file.metadata()) {
        if (key == "slidekit.checkpoint") {
            print_checkpoint(value);
        } else {
            fmt::print("{}: {}\n", key, value);
        }
    }
}

void inspect_dataset(const std::string& name, data::CachePolicy cache) {
    const data::Dataset dataset = load(name, cache);
    const data::PointsView& view = dataset.view();
    std::vector<std::uint32_t> uses(view.labels);
    for (const std::uint32_t label : view.label_ids) ++uses[label];
    const auto used =
        std::count_if(uses.begin(), uses.end(), [](std::uint32_t count) { return count > 0; });
    const double points = std::max(1.0, static_cast<double>(view.points));
    fmt::print("points            {} ({} without label, {} without feature)\n",
               view.points,
               dataset.report().points_without_labels,
               dataset.report().points_without_features);
    fmt::print("features          {} ({:.1f} non-zeros a point)\n",
               view.features,
               static_cast<double>(view.feature_ids.size()) / points);
    fmt::print("labels            {} ({:.2f} a point; {} occur, the most frequent {} times)\n",
               view.labels,
               static_cast<double>(view.label_ids.size()) / points,
               used,
               uses.empty() ? 0 : *std::max_element(uses.begin(), uses.end()));
}

}  // namespace

Command add_inspect(CLI::App& program) {
    CLI::App& command =
        *program.add_subcommand("inspect", "Show what a model, checkpoint or data set holds");
    struct Options {
        std::string file;
        data::CachePolicy cache = data::CachePolicy::use;
    };
    const auto options = std::make_shared<Options>();
    command
        .add_option(
            "file", options->file, "Model or checkpoint (safetensors), or data set (XMC text)")
        ->required();
    add_cache_option(command, options->cache);
    return [options](const std::string&) {
        if (looks_like_tensors(options->file)) {
            inspect_tensors(options->file);
        } else {
            inspect_dataset(options->file, options->cache);
        }
    };
}

}  // namespace slidekit::cli
