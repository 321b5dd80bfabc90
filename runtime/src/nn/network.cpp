// The network: hidden layers, then one of the three outputs.
#include <slidekit/nn/network.hpp>

#include <algorithm>
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
#include "nn/hidden_stack.hpp"
#include "nn/hogwild.hpp"
#include "nn/linear_scan.hpp"
#include "nn/retrieval.hpp"
#include "nn/sampled_softmax.hpp"
#include "nn/sparse_output.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::uint64_t kOutputWeights = 1;  // stream of the initial weights

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

// Refuses what a sampled layer, or one over sparse input, cannot do.
void check_sparse(const std::string& layer,
                  const std::optional<LshOutput>& sampled,
                  Optimizer optimizer,
                  std::optional<Precision> precision) {
    const auto refuse = [&](const std::string& what) {
        throw Error(ErrorCode::usage, layer, what);
    };
    if (optimizer == Optimizer::adam_dense)
        refuse(
            "optimizer adam_dense moves all weights at each step, and is for layers between dense "
            "ones; use adam");
    if (precision == Precision::bf16)
        refuse("precision bf16 is for layers between dense ones; use fp32");
    if (!sampled) return;
    if (sampled->sampling != Sampling::top_k && sampled->sampling != Sampling::exact &&
        sampled->sampling != Sampling::none)
        refuse("sampling is top_k, exact or none where a layer or its input is sampled");
    if (sampled->query != QueryBy::activation || sampled->scope != Scope::sample ||
        sampled->correction != Correction::none)
        refuse(
            "query, scope and correction are for an output behind a dense layer; leave them out");
    if (sampled->mix.uniform_group == 0) refuse("uniform group is 0; at least 1 is needed");
}

void check_hidden(const NetworkConfig& config, std::size_t i) {
    const HiddenLayer& layer = config.hidden[i];
    const std::string name = i == 0 ? "hidden" : "hidden layer " + std::to_string(i + 1);
    if (layer.width == 0) throw Error(ErrorCode::usage, name, "0; at least 1 is needed");
    if (!layer.sampled && (i == 0 || !config.hidden[i - 1].sampled)) return;
    check_sparse(name, layer.sampled, optimizer_of(config, i), layer.precision);
    if (!layer.sampled) return;
    const Mix& mix = layer.sampled->mix;
    if (mix.batch > 0)
        throw Error(ErrorCode::usage, name, "its mix has a part batch, but it has no labels");
    if (mix.lsh == 0 && mix.uniform == 0)
        throw Error(ErrorCode::usage, name, "its mix is empty: no neuron would be active");
}

// Behind a sampled layer rows meet sparse input.
Precision output_precision(const NetworkConfig& config) {
    const bool sparse = output_reads_lists(config);
    return config.output_precision.value_or(sparse ? Precision::fp32 : config.precision);
}

void check_output(const NetworkConfig& config) {
    const auto* lsh = std::get_if<LshOutput>(&config.output);
    if (config.loss != Loss::softmax) {
        const auto* uniform = std::get_if<UniformOutput>(&config.output);
        if ((lsh != nullptr && lsh->correction != Correction::none) ||
            (uniform != nullptr && uniform->correction != Correction::none))
            throw Error(ErrorCode::usage,
                        "correction",
                        "log_q corrects the sum of a softmax, but the loss is another");
    }
    if (!output_reads_lists(config)) return;
    if (std::holds_alternative<UniformOutput>(config.output))
        throw Error(
            ErrorCode::usage,
            "output",
            "uniform negatives that a batch shares need a dense last hidden layer; behind "
            "a sampled one use an LSH output with sampling none and a mix of uniform draws");
    check_sparse("output",
                 lsh == nullptr ? std::nullopt : std::optional(*lsh),
                 optimizer_of(config, config.hidden.size()),
                 config.output_precision);
}

const NetworkConfig& checked(const NetworkConfig& config, std::size_t domains) {
    const auto require = [](std::uint32_t value, const char* name) {
        if (value == 0) throw Error(ErrorCode::usage, name, "0; at least 1 is needed");
    };
    require(config.features, "features");
    require(config.labels, "labels");
    if (config.hidden.empty())
        throw Error(ErrorCode::usage, "hidden", "no hidden layer; at least one is needed");
    for (std::size_t i = 0; i < config.hidden.size(); ++i) check_hidden(config, i);
    check_output(config);
    if (const auto* lsh = std::get_if<LshOutput>(&config.output)) {
        require(lsh->mix.uniform_group, "uniform group");
        if (lsh->correction == Correction::log_q) check_correction(*lsh);
        const bool scans = uses_scan(lsh->sampling);
        if (scans && lsh->rank == Rank::count)
            throw Error(ErrorCode::usage, "rank", "a linear scan counts no tables; rank by dot");
        if (scans && !(lsh->alpha > 0))
            throw Error(ErrorCode::usage, "alpha", "standout needs a number above 0");
    }
    check_update(config, domains);
    return config;
}

}  // namespace

Optimizer optimizer_of(const NetworkConfig& config, std::size_t layer) {
    if (layer == config.hidden.size()) return config.output_optimizer.value_or(config.optimizer);
    return config.hidden[layer].optimizer.value_or(config.optimizer);
}

std::string hidden_name(std::size_t layer) {
    return layer == 0 ? "input" : "hidden" + std::to_string(layer + 1);
}

bool output_reads_lists(const NetworkConfig& config) {
    constexpr std::uint32_t kWidestMatrix = 512;
    const HiddenLayer& last = config.hidden.back();
    return last.sampled && config.lists_to_output.value_or(last.width > kWidestMatrix);
}

std::string name_of(Layer layer) {
    if (layer == Layer::input) return "input layer";
    if (layer == Layer::output) return "output layer";
    return "hidden layer " + std::to_string(static_cast<std::uint32_t>(layer) + 1);
}

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
          hidden(run, network),
          output(run,
                 "output",
                 network.labels,
                 network.hidden.last_width(),
                 optimizer_of(network, network.hidden.size()),
                 Bias::per_row,
                 output_precision(network),
                 homes_of(blocks, run.topology().domains.size())) {
        if (network.initial_deviation > 0)
            output.initialize(
                run.executor(), network.seed, kOutputWeights, network.initial_deviation);
        if (met.empty()) {
            met.resize(network.labels);
            std::iota(met.begin(), met.end(), 0U);
        }
        const auto* lsh = std::get_if<LshOutput>(&network.output);
        if (hidden.sparse()) {
            sparse.emplace(run,
                           output,
                           lsh == nullptr ? std::nullopt : std::optional(*lsh),
                           std::move(met),
                           network.loss,
                           network.seed);
        } else if (lsh != nullptr) {
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
        if (network.update != Update::grouped)
            hogwild.emplace(run, network.update, *hidden.input_layer(), output, *sampled);
    }

    // Whether the output has tables that are rebuilt in slices.
    [[nodiscard]] bool retrieving() const { return sampled && sampled->retrieving(); }
    // Those of layers with sparse input, which are rebuilt at once.
    [[nodiscard]] std::vector<RowTables*> other_tables() {
        std::vector<RowTables*> all = hidden.tables();
        if (sparse && sparse->layer().has_tables()) all.push_back(&sparse->layer().row_tables());
        return all;
    }
    void rebuild_others(const RebuildPlan& what, RebuildReport& report) {
        for (RowTables* each : other_tables()) {
            each->begin({.rows = what.rows, .functions = what.functions});
            const RebuildReport other = each->finish();
            report.seconds += other.seconds;
            report.rows += other.rows;
            report.occupancy += other.occupancy;
        }
    }

    // Hidden activations for prediction, in rows of a matrix made here.
    struct Hidden {
        std::vector<float> values;
        RowMatrix<float> matrix;
    };
    [[nodiscard]] Hidden predict_hidden(const data::PointsView& points,
                                        std::size_t begin,
                                        std::size_t end) const {
        const std::uint32_t width = config.hidden.last_width();
        const std::size_t stride = padded_stride(width);
        Hidden made{std::vector<float>((end - begin) * stride), {}};
        made.matrix = {made.values.data(), end - begin, width, stride};
        hidden.predict(points, begin, made.matrix);
        return made;
    }

    // Shortens the gradient of a sample's own loss, which is batch times its share of the batch's.
    void clip(std::size_t samples, float norm) {
        const float longest = norm / static_cast<float>(samples);
        if (hidden.sparse()) {
            const std::span<float> gradient = hidden.lists_gradient();
            for (const SlotRun run : hidden.lists().runs)
                shorten(gradient.data() + run.first, run.count, longest);
            return;
        }
        const RowMatrix<float> rows = hidden.matrix_gradient();
        for (std::size_t s = 0; s < samples; ++s) shorten(rows.row(s), rows.dim, longest);
    }
    [[nodiscard]] bool gradient_finite(std::size_t samples) {
        if (zeros.size() < config.hidden.last_width()) zeros.resize(config.hidden.last_width());
        if (hidden.sparse()) {
            const std::span<const float> gradient = hidden.lists_gradient();
            for (const SlotRun run : hidden.lists().runs)
                if (!all_finite(gradient.data() + run.first, zeros.data(), run.count)) return false;
            return true;
        }
        const RowMatrix<float> rows = hidden.matrix_gradient();
        for (std::size_t s = 0; s < samples; ++s)
            if (!all_finite(rows.row(s), zeros.data(), rows.dim)) return false;
        return true;
    }

    system::Runtime& runtime;
    NetworkConfig config;
    Blocks blocks;  // of the output layer
    HiddenStack hidden;
    Parameters output;
    std::optional<SampledSoftmax> sampled;  // one of these three, or the first two...
    std::optional<DenseSoftmax> dense;
    std::optional<SparseOutput> sparse;  // ...and this one behind a sampled layer
    std::optional<HogwildStep> hogwild;  // in place of the grouped step of `sampled`
    RebuildPlan plan;                    // of the rebuild under way
    Blocks whole{1, 1};                  // one shard, for predictions...
    std::optional<Retrieval> tables;     // ...by these
    std::vector<float> zeros;            // a row of them
};

Network::Network(system::Runtime& runtime,
                 const NetworkConfig& config,
                 std::vector<std::uint32_t> met,
                 std::vector<std::uint32_t> counts)
    : state_(std::make_unique<State>(
          runtime, checked(config, runtime.topology().domains.size()), std::move(met), counts)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

const NetworkConfig& Network::config() const noexcept { return state_->config; }
std::size_t Network::shards() const noexcept { return state_->blocks.shards(); }

StepReport Network::train_step(const data::PointsView& batch,
                               const UpdateRules& rules,
                               std::uint64_t step,
                               const Regularisers& regularisers) {
    static const system::TaskName kTask("train_step");
    const system::Task whole(kTask);
    State& state = *state_;
    HiddenStack& hidden = state.hidden;
    StepReport report;
    StageClock clock;
    const UpdateRule& rule = rules.of(hidden.size());
    if (state.hogwild) {
        hidden.make_room(batch.points);
        return state.hogwild->step(
            batch, hidden.matrix(), hidden.matrix_gradient(), rule, step, regularisers);
    }
    report.not_finite = hidden.forward(batch, step);
    report.seconds.input_forward += clock.lap();

    bool output_finite = true;
    if (state.sparse) {
        output_finite = state.sparse->step(hidden.lists(),
                                           batch,
                                           step,
                                           regularisers.label_smoothing,
                                           rule,
                                           hidden.lists_gradient(),
                                           report);
    } else {
        const OutputStep output{batch,
                                hidden.matrix(),
                                hidden.matrix_gradient(),
                                rule,
                                step,
                                regularisers.label_smoothing,
                                state.config.loss};
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
    }

    (void)clock.lap();
    output_finite =
        output_finite && std::isfinite(report.loss) && state.gradient_finite(batch.points);
    if (!report.not_finite && !output_finite) report.not_finite = Layer::output;
    if (regularisers.clip_norm > 0) state.clip(batch.points, regularisers.clip_norm);
    hidden.backward(batch, rules);
    report.seconds.input_backward += clock.lap();
    return report;
}

std::optional<NonFinite> Network::find_nonfinite() const {
    system::Executor& executor = state_->runtime.executor();
    const std::vector<HiddenView> views = state_->hidden.views();
    for (std::size_t i = 0; i < views.size(); ++i) {
        const auto layer = static_cast<Layer>(i);
        if (const auto row = views[i].weights.first_nonfinite(executor))
            return NonFinite{layer, row};
        for (const float bias : views[i].bias)
            if (!std::isfinite(bias)) return NonFinite{layer, std::nullopt};
    }
    if (const auto row = output().first_nonfinite(executor)) return NonFinite{Layer::output, row};
    return std::nullopt;
}

bool Network::has_tables() const noexcept {
    return state_->retrieving() || !state_->other_tables().empty();
}

RebuildReport Network::rebuild_tables() {
    RebuildReport report = state_->sampled ? state_->sampled->rebuild() : RebuildReport{};
    state_->rebuild_others({.rows = RebuildRows::all}, report);
    return report;
}

void Network::begin_rebuild(const RebuildPlan& plan) {
    state_->plan = plan;
    if (state_->retrieving()) state_->sampled->row_tables().begin(plan);
}

RebuildReport Network::finish_rebuild() {
    RebuildReport report =
        state_->retrieving() ? state_->sampled->row_tables().finish() : RebuildReport{};
    state_->rebuild_others(state_->plan, report);
    return report;
}

double Network::table_drift() const {
    return state_->retrieving() ? state_->sampled->row_tables().drift() : 0;
}

double Network::top_recall(const data::PointsView& points) {
    const State& state = *state_;
    if (!state.sampled || points.points == 0) return -1;
    return state.sampled->top_recall(state.predict_hidden(points, 0, points.points).matrix);
}

std::vector<Ranked> Network::predict(const data::PointsView& points, std::uint32_t count) const {
    const State& state = *state_;
    constexpr std::size_t kPointsPerTask = 256;
    std::vector<Ranked> best(std::size_t{points.points} * count);
    state.runtime.executor().for_each_piece(
        points.points, kPointsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            const State::Hidden hidden = state.predict_hidden(points, begin, end);
            exact_top(state.output,
                      hidden.matrix,
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
    std::span<const std::uint32_t> met;
    std::span<const float> centre;
    if (tables != nullptr) {
        met = tables->met();
        centre = tables->query_centre();
    } else if (state.sparse && state.sparse->layer().has_tables()) {
        met = state.sparse->layer().row_tables().met();
        centre = state.sparse->layer().query_centre();
    } else {
        return {};
    }
    return {tables != nullptr ? tables->config() : std::get<LshOutput>(state.config.output),
            {met.begin(), met.end()},
            {centre.begin(), centre.end()}};
}

RebuildReport Network::index(RetrievalSetup setup) {
    State& state = *state_;
    assert(!setup.met.empty() && setup.met.back() < state.config.labels);
    assert(setup.centre.size() == state.config.hidden.last_width());
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
    Retrieved retrieved{.best = std::vector<Ranked>(std::size_t{points.points} * count)};
    std::vector<std::optional<Retrieval::Query>> queries(executor.threads());
    std::vector<std::uint64_t> candidates(points.points);
    executor.for_each_piece(
        points.points,
        kPointsPerTask,
        [&](std::size_t begin, std::size_t end, system::Worker worker) {
            std::optional<Retrieval::Query>& query = queries[worker];
            if (!query) query.emplace(tables.make_query());
            std::vector<std::uint32_t> keys((end - begin) * tables.keys_per_query());
            const State::Hidden made = state.predict_hidden(points, begin, end);
            const RowMatrix<const float> hidden = made.matrix;
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
    const std::uint32_t width = state.config.hidden.last_width();
    const std::size_t stride = padded_stride(width);
    std::vector<float> values(points.points * stride);
    const RowMatrix<float> hidden{values.data(), points.points, width, stride};
    executor.for_each_piece(
        points.points, kPointsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            state.hidden.predict(
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

std::vector<Network::HiddenView> Network::hidden_layers() { return state_->hidden.views(); }
std::vector<Network::ConstHiddenView> Network::hidden_layers() const {
    std::vector<ConstHiddenView> views;
    for (const HiddenView& view : state_->hidden.views())
        views.push_back({view.name, view.weights, view.bias});
    return views;
}
Parameters& Network::input() noexcept { return state_->hidden.views().front().weights; }
const Parameters& Network::input() const noexcept { return state_->hidden.views().front().weights; }
Parameters& Network::output() noexcept { return state_->output; }
const Parameters& Network::output() const noexcept { return state_->output; }
std::span<float> Network::hidden_bias() noexcept { return state_->hidden.views().front().bias; }
std::span<const float> Network::hidden_bias() const noexcept {
    return state_->hidden.views().front().bias;
}

StateVisitor::~StateVisitor() = default;

void Network::visit_state(StateVisitor& state) {
    state_->hidden.visit_state(state);
    state_->output.visit_state(state, "output");
    if (state_->sampled) state_->sampled->visit_state(state, "output");
    if (state_->sparse) state_->sparse->layer().visit_state(state, "output");
    if (state_->hogwild) state_->hogwild->visit_state(state, "output.hogwild");
}

namespace {

constexpr std::size_t kBytesPerPair = 40;  // ids, values, and the grouping's two copies

// Tables, row keys and 8-bit copies of a layer of `rows` neurons, and its pairs.
std::size_t sampling_bytes(const LshOutput& sampled,
                           std::size_t rows,
                           std::size_t dim,
                           std::size_t batch) {
    const lsh::TablesConfig tables{.tables = sampled.hash.l,
                                   .key_bits = lsh::key_bits(sampled.hash),
                                   .capacity = static_cast<std::uint32_t>(rows),
                                   .bucket_cap = sampled.bucket_cap,
                                   .seed = 0};
    const Mix& mix = sampled.mix;
    std::size_t total = lsh::Tables::bytes(tables);
    total += rows * sampled.hash.l * sizeof(std::uint32_t);  // row keys
    total += rows;                                           // touched
    if (sampled.rank == Rank::dot || uses_scan(sampled.sampling))
        total += rows * (padded_stride(dim) + 2 * sizeof(float));
    return total + batch * (std::size_t{mix.lsh} + mix.batch + mix.uniform) * kBytesPerPair;
}

}  // namespace

std::size_t Network::bytes(const NetworkConfig& config, std::uint32_t batch) {
    std::size_t total = HogwildStep::bytes(config);
    std::uint32_t inputs = config.features;
    for (std::size_t i = 0; i < config.hidden.size(); ++i) {
        const HiddenLayer& layer = config.hidden[i];
        const bool lists = i > 0 && config.hidden[i - 1].sampled;
        total += Parameters::bytes(layer.width, inputs, optimizer_of(config, i));
        total += batch * padded_stride(layer.width) * 2 * sizeof(float);
        if (layer.sampled) {
            total += sampling_bytes(*layer.sampled, layer.width, inputs, batch);
        } else if (lists) {
            total += std::size_t{batch} * layer.width * kBytesPerPair;
        } else if (i > 0) {
            total += Grouping::kPieces * batch * padded_stride(inputs) * sizeof(float);
        }
        inputs = layer.width;
    }
    total += Parameters::bytes(config.labels, inputs, optimizer_of(config, config.hidden.size()));
    if (!output_reads_lists(config))
        total += Grouping::kPieces * batch * padded_stride(inputs) * sizeof(float);
    if (const auto* lsh = std::get_if<LshOutput>(&config.output))
        total += sampling_bytes(*lsh, config.labels, inputs, batch);
    return total;
}

}  // namespace slidekit::nn
