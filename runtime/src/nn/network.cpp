// The network: input layer, then one of the three outputs.
#include <slidekit/nn/network.hpp>

#include <algorithm>
#include <cassert>
#include <numeric>
#include <optional>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "nn/dense_softmax.hpp"
#include "nn/exact_top.hpp"
#include "nn/input_layer.hpp"
#include "nn/linear_scan.hpp"
#include "nn/retrieval.hpp"
#include "nn/sampled_softmax.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

enum LayerStream : std::uint64_t { kInputWeights, kOutputWeights };

const NetworkConfig& checked(const NetworkConfig& config) {
    const auto require = [](std::uint32_t value, const char* name) {
        if (value == 0) throw Error(ErrorCode::usage, name, "0; at least 1 is needed");
    };
    require(config.features, "features");
    require(config.hidden, "hidden");
    require(config.labels, "labels");
    if (const auto* lsh = std::get_if<LshOutput>(&config.output))
        require(lsh->mix.uniform_group, "uniform group");
    return config;
}

}  // namespace

StageSeconds& StageSeconds::operator+=(const StageSeconds& other) noexcept {
    input_forward += other.input_forward;
    hash += other.hash;
    select += other.select;
    group += other.group;
    forward += other.forward;
    backward += other.backward;
    input_backward += other.input_backward;
    return *this;
}

StepReport& StepReport::operator+=(const StepReport& other) noexcept {
    loss += other.loss;
    samples += other.samples;
    active += other.active;
    rows_touched += other.rows_touched;
    candidates += other.candidates;
    labels += other.labels;
    labels_retrieved += other.labels_retrieved;
    correct += other.correct;
    seconds += other.seconds;
    return *this;
}

struct Network::State {
    State(system::Runtime& run, const NetworkConfig& network, std::vector<std::uint32_t> met)
        : runtime(run),
          config(network),
          input(run, network.features, network.hidden, network.optimizer),
          output(run, "output", network.labels, network.hidden, network.optimizer, Bias::per_row) {
        if (network.initial_deviation > 0) {
            input.parameters().initialize(
                run.executor(), network.seed, kInputWeights, network.initial_deviation);
            output.initialize(
                run.executor(), network.seed, kOutputWeights, network.initial_deviation);
        }
        if (const auto* lsh = std::get_if<LshOutput>(&network.output)) {
            if (met.empty()) {
                met.resize(network.labels);
                std::iota(met.begin(), met.end(), 0U);
            }
            sampled.emplace(run, output, *lsh, std::move(met), network.seed);
        } else {
            const auto* uniform = std::get_if<UniformOutput>(&network.output);
            dense.emplace(run,
                          output,
                          uniform != nullptr ? uniform->negatives : DenseSoftmax::kAllNeurons,
                          network.seed);
        }
    }

    void resize(std::size_t samples) {
        stride = padded_stride(config.hidden);
        hidden.resize(samples * stride);
        gradient.resize(samples * stride);
    }
    [[nodiscard]] RowMatrix<float> matrix(std::vector<float>& values, std::size_t samples) const {
        return {values.data(), samples, config.hidden, stride};
    }
    void forward(const data::PointsView& points, RowMatrix<float> out) {
        constexpr std::size_t kSamplesPerTask = 8;
        runtime.executor().for_each_piece(
            points.points,
            kSamplesPerTask,
            [&](std::size_t begin, std::size_t end, system::Worker) {
                input.forward(points, begin, {out.row(begin), end - begin, out.dim, out.stride});
            });
    }

    system::Runtime& runtime;
    NetworkConfig config;
    InputLayer input;
    Parameters output;
    std::optional<SampledSoftmax> sampled;
    std::optional<DenseSoftmax> dense;
    std::optional<Retrieval> tables;  // for predictions
    std::size_t stride = 0;
    std::vector<float> hidden;    // activations, by sample
    std::vector<float> gradient;  // theirs
};

Network::Network(system::Runtime& runtime,
                 const NetworkConfig& config,
                 std::vector<std::uint32_t> met)
    : state_(std::make_unique<State>(runtime, checked(config), std::move(met))) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

const NetworkConfig& Network::config() const noexcept { return state_->config; }

StepReport Network::train_step(const data::PointsView& batch,
                               const UpdateRule& rule,
                               std::uint64_t step) {
    State& state = *state_;
    StepReport report;
    StageClock clock;
    state.resize(batch.points);
    const RowMatrix<float> hidden = state.matrix(state.hidden, batch.points);
    const RowMatrix<float> gradient = state.matrix(state.gradient, batch.points);
    state.forward(batch, hidden);
    report.seconds.input_forward += clock.lap();

    const OutputStep output{batch, hidden, gradient, rule, step};
    if (state.sampled) {
        state.sampled->step(output, report);
    } else {
        state.dense->step(output, report);
    }

    (void)clock.lap();
    state.input.backward(state.runtime.executor(), batch, hidden, gradient, rule);
    report.seconds.input_backward += clock.lap();
    return report;
}

RebuildReport Network::rebuild_tables() {
    return state_->sampled ? state_->sampled->rebuild() : RebuildReport{};
}

double Network::top_recall(const data::PointsView& points) {
    State& state = *state_;
    if (!state.sampled || points.points == 0) return -1;
    state.resize(points.points);
    const RowMatrix<float> hidden = state.matrix(state.hidden, points.points);
    state.forward(points, hidden);
    return state.sampled->top_recall(hidden);
}

std::vector<Ranked> Network::predict(const data::PointsView& points, std::uint32_t count) const {
    const State& state = *state_;
    constexpr std::size_t kPointsPerTask = 256;
    std::vector<Ranked> best(std::size_t{points.points} * count);
    state.runtime.executor().for_each_piece(
        points.points, kPointsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            const std::size_t stride = padded_stride(state.config.hidden);
            std::vector<float> values((end - begin) * stride);
            const RowMatrix<float> hidden{values.data(), end - begin, state.config.hidden, stride};
            state.input.forward(points, begin, hidden);
            exact_top(state.output,
                      hidden,
                      count,
                      std::span(best).subspan(begin * count, (end - begin) * count));
        });
    return best;
}

RetrievalSetup Network::retrieval_setup() const {
    const State& state = *state_;
    const Retrieval* const tables = state.tables    ? &*state.tables
                                    : state.sampled ? &state.sampled->retrieval()
                                                    : nullptr;
    if (tables == nullptr) return {};
    const auto met = tables->met();
    const auto centre = tables->query_centre();
    return {tables->config(), {met.begin(), met.end()}, {centre.begin(), centre.end()}};
}

RebuildReport Network::index(RetrievalSetup setup) {
    State& state = *state_;
    assert(!setup.met.empty() && setup.met.back() < state.config.labels);
    assert(setup.centre.size() == state.config.hidden);
    state.tables.emplace(state.runtime,
                         std::as_const(state.output),
                         setup.output,
                         std::move(setup.met),
                         setup.output.hash.seed);
    state.tables->set_query_centre(setup.centre);
    return state.tables->rebuild();
}

Retrieved Network::retrieve(const data::PointsView& points, std::uint32_t count) const {
    const State& state = *state_;
    assert(state.tables);
    constexpr std::size_t kPointsPerTask = 64;
    const Retrieval& tables = *state.tables;
    system::Executor& executor = state.runtime.executor();
    const std::size_t stride = padded_stride(state.config.hidden);
    Retrieved retrieved{.best = std::vector<Ranked>(std::size_t{points.points} * count)};
    std::vector<std::optional<Retrieval::Query>> queries(executor.threads());
    std::vector<std::uint64_t> candidates(points.points);
    executor.for_each_piece(
        points.points,
        kPointsPerTask,
        [&](std::size_t begin, std::size_t end, system::Worker worker) {
            std::optional<Retrieval::Query>& query = queries[worker];
            if (!query) query.emplace(tables.make_query());
            std::vector<float> values((end - begin) * stride);
            std::vector<std::uint32_t> keys((end - begin) * tables.tables());
            const RowMatrix<float> hidden{values.data(), end - begin, state.config.hidden, stride};
            state.input.forward(points, begin, hidden);
            tables.hash_queries(hidden, keys.data(), *query);
            for (std::size_t i = begin; i < end; ++i) {
                candidates[i] = tables.top(
                    hidden.row(i - begin),
                    std::span(keys).subspan((i - begin) * tables.tables(), tables.tables()),
                    std::span(retrieved.best).subspan(i * count, count),
                    *query);
            }
        });
    retrieved.candidates = std::accumulate(candidates.begin(), candidates.end(), std::uint64_t{0});
    return retrieved;
}

std::vector<Ranked> Network::scan(const data::PointsView& points, std::uint32_t count) const {
    const State& state = *state_;
    assert(state.tables);
    constexpr std::size_t kPointsPerTask = 512;
    constexpr std::size_t kLeast = 32;  // 8-bit scores are rough: more are looked at than wanted
    system::Executor& executor = state.runtime.executor();
    const std::size_t stride = padded_stride(state.config.hidden);
    std::vector<float> values(points.points * stride);
    const RowMatrix<float> hidden{values.data(), points.points, state.config.hidden, stride};
    executor.for_each_piece(
        points.points, kPointsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            state.input.forward(
                points, begin, {hidden.row(begin), end - begin, hidden.dim, stride});
        });
    LinearScan scan(executor, state.output, state.tables->copies(), state.tables->met());
    std::vector<SlotRun> runs;
    std::vector<std::uint32_t> ids;
    scan.top(hidden, std::max<std::size_t>(count, kLeast), runs, ids);

    std::vector<Ranked> best(std::size_t{points.points} * count);
    executor.for_each_piece(
        points.points, kPointsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            Retrieval::Query query = state.tables->make_query();
            for (std::size_t i = begin; i < end; ++i) {
                state.tables->rank(std::span(ids).subspan(runs[i].first, runs[i].count),
                                   hidden.row(i),
                                   std::span(best).subspan(i * count, count),
                                   query);
            }
        });
    return best;
}

Parameters& Network::input() noexcept { return state_->input.parameters(); }
const Parameters& Network::input() const noexcept {
    return std::as_const(state_->input).parameters();
}
Parameters& Network::output() noexcept { return state_->output; }
const Parameters& Network::output() const noexcept { return state_->output; }
std::span<float> Network::hidden_bias() noexcept { return state_->input.bias(); }
std::span<const float> Network::hidden_bias() const noexcept {
    return std::as_const(state_->input).bias();
}

std::size_t Network::bytes(const NetworkConfig& config, std::uint32_t batch) {
    std::size_t total = Parameters::bytes(config.features, config.hidden, config.optimizer) +
                        Parameters::bytes(config.labels, config.hidden, config.optimizer);
    const std::size_t vectors = batch * padded_stride(config.hidden) * sizeof(float);
    total += vectors * (2 + Grouping::kPieces);
    if (const auto* lsh = std::get_if<LshOutput>(&config.output)) {
        const lsh::TablesConfig tables{.tables = lsh->hash.l,
                                       .key_bits = lsh::key_bits(lsh->hash),
                                       .capacity = config.labels,
                                       .bucket_cap = lsh->bucket_cap,
                                       .seed = 0};
        constexpr std::size_t kBytesPerPair = 40;  // ids, values, and the grouping's two copies
        total += lsh::Tables::bytes(tables);
        total += std::size_t{config.labels} * lsh->hash.l * sizeof(std::uint32_t);  // row keys
        if (lsh->rank == Rank::dot)
            total += config.labels * (padded_stride(config.hidden) + sizeof(float));
        total +=
            std::size_t{batch} * (lsh->mix.lsh + lsh->mix.batch + lsh->mix.uniform) * kBytesPerPair;
    }
    return total;
}

}  // namespace slidekit::nn
