// The network: input layer, then one of the three outputs.
#include <slidekit/nn/network.hpp>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <numeric>
#include <optional>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "nn/blocks.hpp"
#include "nn/dense_softmax.hpp"
#include "nn/exact_top.hpp"
#include "nn/exchange.hpp"
#include "nn/finite.hpp"
#include "nn/input_layer.hpp"
#include "nn/linear_scan.hpp"
#include "nn/retrieval.hpp"
#include "nn/sampled_softmax.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

enum LayerStream : std::uint64_t { kInputWeights, kOutputWeights };

void check_correction(const LshOutput& lsh) {
    const auto refuse = [](const std::string& why) {
        throw Error(ErrorCode::usage, "correction", "log_q " + why);
    };
    if (lsh.hash.family != lsh::HashFamily::simhash)
        refuse("needs the SimHash family: of the others no probability of a meeting is known");
    if (lsh.hash.probes > 1)
        refuse("knows the probability of a meeting for hash probes of 1 only, and they are " +
               std::to_string(lsh.hash.probes));
    if (lsh.scope == Scope::batch) refuse("is for sets of a sample's own, not of the batch");
    if (lsh.sampling != Sampling::top_k && lsh.sampling != Sampling::all &&
        lsh.sampling != Sampling::none)
        refuse("knows the probabilities of top_k, all and none only");
}

const NetworkConfig& checked(const NetworkConfig& config) {
    const auto require = [](std::uint32_t value, const char* name) {
        if (value == 0) throw Error(ErrorCode::usage, name, "0; at least 1 is needed");
    };
    require(config.features, "features");
    require(config.hidden, "hidden");
    require(config.labels, "labels");
    if (const auto* lsh = std::get_if<LshOutput>(&config.output)) {
        require(lsh->mix.uniform_group, "uniform group");
        if (lsh->correction == Correction::log_q) check_correction(*lsh);
        const bool scans = uses_scan(lsh->sampling);
        if (scans && lsh->rank == Rank::count)
            throw Error(ErrorCode::usage, "rank", "a linear scan counts no tables; rank by dot");
        if (scans && !(lsh->alpha > 0))
            throw Error(ErrorCode::usage, "alpha", "standout needs a number above 0");
    }
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
    rows_remote += other.rows_remote;
    candidates += other.candidates;
    labels += other.labels;
    labels_retrieved += other.labels_retrieved;
    correct += other.correct;
    if (!not_finite) not_finite = other.not_finite;
    seconds += other.seconds;
    return *this;
}

void StepReport::visit_state(StateVisitor& state, const std::string& name) {
    state.numbers(name + ".counts",
                  samples,
                  active,
                  rows_touched,
                  rows_remote,
                  candidates,
                  labels,
                  labels_retrieved,
                  correct);
    state.numbers(name + ".loss_and_seconds",
                  loss,
                  seconds.input_forward,
                  seconds.hash,
                  seconds.select,
                  seconds.group,
                  seconds.forward,
                  seconds.backward,
                  seconds.input_backward);
}

struct Network::State {
    State(system::Runtime& run,
          const NetworkConfig& network,
          std::vector<std::uint32_t> met,
          const std::vector<std::uint32_t>& counts)
        : runtime(run),
          config(network),
          blocks(network.labels, run.topology().domains.size()),
          input(run, network.features, network.hidden, network.optimizer, network.precision),
          output(run,
                 "output",
                 network.labels,
                 network.hidden,
                 network.optimizer,
                 Bias::per_row,
                 network.precision,
                 homes_of(blocks, run.topology().domains.size())) {
        if (network.initial_deviation > 0) {
            input.parameters().initialize(
                run.executor(), network.seed, kInputWeights, network.initial_deviation);
            output.initialize(
                run.executor(), network.seed, kOutputWeights, network.initial_deviation);
        }
        if (met.empty()) {
            met.resize(network.labels);
            std::iota(met.begin(), met.end(), 0U);
        }
        if (const auto* lsh = std::get_if<LshOutput>(&network.output)) {
            sampled.emplace(run, output, *lsh, std::move(met), network.seed, blocks, in_process());
            if (lsh->scope == Scope::batch) {  // the samples choose, the shared softmax draws
                dense.emplace(
                    run,
                    output,
                    blocks,
                    SharedNegatives(
                        {.negatives = lsh->mix.uniform}, network.labels, {}, {}, network.seed));
            }
        } else {
            std::optional<SharedNegatives> negatives;
            if (const auto* uniform = std::get_if<UniformOutput>(&network.output))
                negatives.emplace(*uniform, network.labels, met, counts, network.seed);
            dense.emplace(run, output, blocks, std::move(negatives));
        }
    }

    // Whether there are tables to rebuild.
    [[nodiscard]] bool retrieving() const { return sampled && sampled->retrieving(); }

    void resize(std::size_t samples) {
        stride = padded_stride(config.hidden);
        hidden.resize(samples * stride);
        gradient.resize(samples * stride);
        zeros.resize(stride);
    }
    [[nodiscard]] RowMatrix<float> matrix(std::vector<float>& values, std::size_t samples) const {
        return {values.data(), samples, config.hidden, stride};
    }
    // False where a pre-activation is NaN or infinite.
    bool forward(const data::PointsView& points, RowMatrix<float> out) {
        std::atomic<bool> finite = true;
        constexpr std::size_t kSamplesPerTask = 8;
        runtime.executor().for_each_piece(
            points.points,
            kSamplesPerTask,
            [&](std::size_t begin, std::size_t end, system::Worker) {
                if (!input.forward(
                        points, begin, {out.row(begin), end - begin, out.dim, out.stride}))
                    finite = false;
            });
        return finite;
    }

    // Shortens the gradient of a sample's own loss, which is batch times its share of the batch's.
    void clip(RowMatrix<float> rows, float norm) const {
        const float most = norm / static_cast<float>(rows.rows);
        for (std::size_t s = 0; s < rows.rows; ++s) {
            const float length = std::sqrt(kernels::dot(rows.row(s), rows.row(s), rows.dim));
            if (length > most) kernels::scale(most / length, rows.row(s), rows.dim);
        }
    }

    system::Runtime& runtime;
    NetworkConfig config;
    Blocks blocks;  // of the output layer
    InputLayer input;
    Parameters output;
    std::optional<SampledSoftmax> sampled;
    std::optional<DenseSoftmax> dense;
    Blocks whole{1, 1};               // one shard, for predictions...
    std::optional<Retrieval> tables;  // ...by these
    std::size_t stride = 0;
    std::vector<float> hidden;    // activations, by sample
    std::vector<float> gradient;  // theirs
    std::vector<float> zeros;     // a row of them
};

Network::Network(system::Runtime& runtime,
                 const NetworkConfig& config,
                 std::vector<std::uint32_t> met,
                 std::vector<std::uint32_t> counts)
    : state_(std::make_unique<State>(runtime, checked(config), std::move(met), counts)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

const NetworkConfig& Network::config() const noexcept { return state_->config; }
std::size_t Network::shards() const noexcept { return state_->blocks.shards(); }

StepReport Network::train_step(const data::PointsView& batch,
                               const UpdateRule& rule,
                               std::uint64_t step,
                               const Regularisers& regularisers) {
    static const system::TaskName kTask("train_step");
    const system::Task whole(kTask);
    State& state = *state_;
    StepReport report;
    StageClock clock;
    state.resize(batch.points);
    const RowMatrix<float> hidden = state.matrix(state.hidden, batch.points);
    const RowMatrix<float> gradient = state.matrix(state.gradient, batch.points);
    const bool input_finite = state.forward(batch, hidden);
    report.seconds.input_forward += clock.lap();

    const OutputStep output{batch, hidden, gradient, rule, step, regularisers.label_smoothing};
    if (state.sampled && state.dense) {  // Scope::batch
        StepReport found;
        const std::span<const std::uint32_t> chosen = state.sampled->shared_set(output, found);
        report.seconds += found.seconds;
        report.candidates = found.candidates;
        report.labels_retrieved = found.labels_retrieved;
        state.dense->step(output, report, chosen);
        state.sampled->refresh(state.dense->shared());
    } else if (state.sampled) {
        state.sampled->step(output, report);
    } else {
        state.dense->step(output, report);
    }

    (void)clock.lap();
    bool output_finite = std::isfinite(report.loss);
    for (std::size_t s = 0; s < gradient.rows; ++s)
        output_finite =
            output_finite && all_finite(gradient.row(s), state.zeros.data(), gradient.dim);
    if (!input_finite) {
        report.not_finite = Layer::input;
    } else if (!output_finite) {
        report.not_finite = Layer::output;
    }
    if (regularisers.clip_norm > 0) state.clip(gradient, regularisers.clip_norm);
    state.input.backward(state.runtime.executor(), batch, hidden, gradient, rule);
    report.seconds.input_backward += clock.lap();
    return report;
}

std::optional<NonFinite> Network::find_nonfinite() const {
    system::Executor& executor = state_->runtime.executor();
    if (const auto row = input().first_nonfinite(executor)) return NonFinite{Layer::input, row};
    for (const float bias : hidden_bias())
        if (!std::isfinite(bias)) return NonFinite{Layer::input, std::nullopt};
    if (const auto row = output().first_nonfinite(executor)) return NonFinite{Layer::output, row};
    return std::nullopt;
}

RebuildReport Network::rebuild_tables() {
    return state_->sampled ? state_->sampled->rebuild() : RebuildReport{};
}

void Network::begin_rebuild(const RebuildPlan& plan) {
    if (state_->retrieving()) state_->sampled->row_tables().begin(plan);
}

RebuildReport Network::finish_rebuild() {
    return state_->retrieving() ? state_->sampled->row_tables().finish() : RebuildReport{};
}

double Network::table_drift() const {
    return state_->retrieving() ? state_->sampled->row_tables().drift() : 0;
}

double Network::top_recall(const data::PointsView& points) {
    State& state = *state_;
    if (!state.sampled || points.points == 0) return -1;
    state.resize(points.points);
    const RowMatrix<float> hidden = state.matrix(state.hidden, points.points);
    (void)state.forward(points, hidden);
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
            (void)state.input.forward(points, begin, hidden);
            exact_top(state.output,
                      hidden,
                      count,
                      std::span(best).subspan(begin * count, (end - begin) * count));
        });
    return best;
}

RetrievalSetup Network::retrieval_setup() const {
    const State& state = *state_;
    const Retrieval* const tables = state.tables ? &*state.tables
                                    : state.sampled && state.sampled->knows_rows()
                                        ? &state.sampled->retrieval()
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
    // However training chose and ranked, prediction looks at all candidates.
    setup.output.sampling = Sampling::top_k;
    setup.output.rank = Rank::dot;
    state.whole = Blocks(state.config.labels, 1);
    state.tables.emplace(state.runtime,
                         std::as_const(state.output),
                         setup.output,
                         std::move(setup.met),
                         setup.output.hash.seed,
                         state.whole,
                         in_process());
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
            std::vector<std::uint32_t> keys((end - begin) * tables.keys_per_query());
            const RowMatrix<float> hidden{values.data(), end - begin, state.config.hidden, stride};
            state.input.forward(points, begin, hidden);
            tables.hash_queries(hidden, keys.data(), *query);
            for (std::size_t i = begin; i < end; ++i) {
                candidates[i] =
                    tables.top(hidden.row(i - begin),
                               std::span(keys).subspan((i - begin) * tables.keys_per_query(),
                                                       tables.keys_per_query()),
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
    // 8-bit scores are rough: more are looked at than wanted.
    const std::size_t looked_at = std::max<std::size_t>(2 * std::size_t{count}, 48);
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
    std::vector<Found> found(points.points * looked_at);
    std::vector<std::uint32_t> counts(points.points);
    const FoundLists lists{found.data(), counts.data(), looked_at};
    scan.top(hidden, looked_at, Rank::dot, lists);

    std::vector<Ranked> best(std::size_t{points.points} * count);
    executor.for_each_piece(
        points.points, kPointsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            Retrieval::Query query = state.tables->make_query();
            std::vector<std::uint32_t> ids;
            for (std::size_t i = begin; i < end; ++i) {
                ids.clear();
                for (const Found& each : lists.of(i)) ids.push_back(each.id);
                state.tables->rank(
                    ids, hidden.row(i), std::span(best).subspan(i * count, count), query);
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

StateVisitor::~StateVisitor() = default;

void Network::visit_state(StateVisitor& state) {
    state_->input.visit_state(state, "input");
    state_->output.visit_state(state, "output");
    if (state_->sampled) state_->sampled->visit_state(state, "output");
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
        total += config.labels;                                                     // touched
        if (lsh->rank == Rank::dot || uses_scan(lsh->sampling))
            total += config.labels * (padded_stride(config.hidden) + 2 * sizeof(float));
        total +=
            std::size_t{batch} * (lsh->mix.lsh + lsh->mix.batch + lsh->mix.uniform) * kBytesPerPair;
    }
    return total;
}

}  // namespace slidekit::nn
