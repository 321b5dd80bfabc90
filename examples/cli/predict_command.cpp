// slidekit predict: the best labels of each point, a line a point, `label:score label:score ...`.
//
// Scores are logits. By hash tables a point may get fewer labels than were asked for.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>

#include <slidekit/data/atomic_file.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/model_file.hpp>

#include "commands.hpp"
#include "options.hpp"

namespace slidekit::cli {

namespace {

struct PredictOptions {
    std::string model;
    std::string input;
    std::string output;
    std::uint32_t top_k = 5;
    data::CachePolicy cache = data::CachePolicy::use;
    RetrievalOptions retrieval;
    MachineOptions machine;
};

std::string predictions_text(const std::vector<nn::Ranked>& best, std::uint32_t top_k) {
    std::string text;
    for (std::size_t i = 0; i < best.size(); ++i) {
        const bool first = i % top_k == 0;
        const bool last = i % top_k == top_k - 1;
        if (best[i].label != nn::Ranked::kNone)
            text += fmt::format("{}{}:{:.6g}", first ? "" : " ", best[i].label, best[i].score);
        if (last) text += '\n';
    }
    return text;
}

std::vector<nn::Ranked> find(const nn::Network& network,
                             const data::PointsView& points,
                             std::uint32_t top_k,
                             train::RetrievalMode mode) {
    switch (mode) {
        case train::RetrievalMode::lsh: return network.retrieve(points, top_k).best;
        case train::RetrievalMode::scan: return network.scan(points, top_k);
        default: return network.predict(points, top_k);
    }
}

void predict(const PredictOptions& options) {
    check(options.retrieval);
    const train::ModelShape shape = train::read_model_shape(options.model);
    if (options.top_k == 0 || options.top_k > shape.labels) {
        throw Error(ErrorCode::usage,
                    "--top-k",
                    fmt::format("{} labels asked, the model has {}; choose 1 to {}",
                                options.top_k,
                                shape.labels,
                                shape.labels));
    }
    const data::Dataset input = load(options.input, options.cache);
    if (input.view().features != shape.features) {
        throw Error(ErrorCode::input,
                    options.model,
                    fmt::format("the model has {} features, {} has {}; use files of one data set",
                                shape.features,
                                options.input,
                                input.view().features));
    }
    system::Runtime runtime = start_runtime(options.machine);
    const nn::Network network = load_network(runtime, options.model, options.retrieval);
    const std::vector<nn::Ranked> best =
        find(network, input.view(), options.top_k, options.retrieval.mode);
    const std::string text = predictions_text(best, options.top_k);
    if (options.output.empty()) {
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
            std::fflush(stdout) != 0) {
            throw Error(ErrorCode::output,
                        "stdout",
                        fmt::format("cannot be written ({})", std::strerror(errno)));
        }
        return;
    }
    data::AtomicFile output(options.output);
    output.write(text);
    output.commit();
}

}  // namespace

Command add_predict(CLI::App& program) {
    CLI::App& command = *program.add_subcommand("predict", "Write the best labels of each point");
    const auto options = std::make_shared<PredictOptions>();
    command.add_option("--model", options->model, "Model file (safetensors)")->required();
    command
        .add_option(
            "--input", options->input, "Points (XMC text, .gz too); their labels are not looked at")
        ->required();
    command.add_option("--top-k", options->top_k, "Labels a point")->capture_default_str();
    command.add_option("--output", options->output, "Where to write (default: stdout)");
    add_retrieval_options(command, options->retrieval);
    add_cache_option(command, options->cache);
    add_machine_options(command, options->machine);
    return [options](const std::string&) { predict(*options); };
}

}  // namespace slidekit::cli
