// Networks: sparse input -> hidden layers with ReLU -> output over very many neurons.
//
// The usual one has a single dense hidden layer. Any layer may be sampled instead: it then has hash
// tables of its own, each sample is a matter of the neurons that they find, and only these are
// handed on (SLIDE [MLSys 2020], section 3). The output is sampled by LSH (a few hundred neurons a
// sample), or one of the two honest baselines: over all neurons, or over the labels of the batch
// and uniform negatives that the batch shares.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/nn/state.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {

enum class Centre { on, off };
/// How candidates are ranked: by row dot on 8-bit copies of the rows, by row dot in fp32, or by the
/// number of tables that a candidate was met in.
enum class Rank { dot, dot_fp32, count };

/// Which of the tables' candidates a sample takes, at most Mix::lsh of them (SLIDE [MLSys 2020],
/// section 3.3, names the first four):
/// top_k      the best by Rank;
/// vanilla    tables are walked in random order until there are enough distinct neurons;
/// threshold  those met in at least LshOutput::threshold tables, the most often met first;
/// all        the union of all buckets; of too many any subset alike;
/// none       no tables at all: the control without hashing;
/// exact      no tables: the best of all neurons in them, by a linear scan of 8-bit rows, ranked
///            again by fp32 (the oracle);
/// standout   no tables: each with probability sigma(alpha logit + beta) (Ba and Frey [NIPS 2013]).
enum class Sampling { top_k, vanilla, threshold, all, none, exact, standout };

/// Whether neurons are looked up in hash tables, or found by a scan of all rows.
[[nodiscard]] constexpr bool uses_tables(Sampling sampling) noexcept {
    return sampling == Sampling::top_k || sampling == Sampling::vanilla ||
           sampling == Sampling::threshold || sampling == Sampling::all;
}
[[nodiscard]] constexpr bool uses_scan(Sampling sampling) noexcept {
    return sampling == Sampling::exact || sampling == Sampling::standout;
}

/// What is hashed to find a sample's neurons: its activation, or the weight row of one of its
/// labels (LSH negative sampling [ICML 2021]).
enum class QueryBy { activation, label };

/// Whose the active set is: each sample's own, or the union over the batch, shared by it.
enum class Scope { sample, batch };

/// log_q: the logit of a neuron that is active because it was chosen is lowered by ln q, q being
/// its chance to be; labels keep theirs. Then the sum of exponentials is in expectation the one
/// over all neurons that can be chosen (Bengio and Senecal 2008). Training only. Shared draws: q =
/// 1 - (1 - share)^negatives, share being the neuron's in one draw. LSH: 1 - q = (1
/// - q_tables)(1 - q_batch)(1 - q_uniform), where q_tables = 1 - (1 - p^K)^L with p = 1 - angle /
/// pi of the centred vectors, and 0 below the logit of the last candidate that was kept; bucket
/// caps are left out of account.
enum class Correction { none, log_q };

/// Active neurons of a sample beside its labels: the best of its own LSH candidates, labels drawn
/// from the batch (popular ones), and neurons drawn uniformly. What is drawn twice counts once.
struct Mix {
    std::uint32_t lsh = 200;
    std::uint32_t batch = 200;
    std::uint32_t uniform = 200;
    /// So many neighbours in the batch share their uniform draws: a row then serves several samples
    /// at once, and a third of the rows need no update. Of 16 and more, too few rows are pushed
    /// down in a step and training can collapse (bench/README.md); hard negatives are never shared.
    std::uint32_t uniform_group = 4;
};

/// Each sample has its own active set, found by LSH; of a hidden layer or the output.
struct LshOutput {
    lsh::HashConfig hash;
    Mix mix;
    Centre centre = Centre::on;
    Rank rank = Rank::dot;
    std::uint32_t bucket_cap = 128;
    lsh::BucketPolicy bucket_policy = lsh::BucketPolicy::reservoir;
    Sampling sampling = Sampling::top_k;
    std::uint32_t threshold = 2;  // for Sampling::threshold
    float alpha = 1;              // for Sampling::standout, above 0
    float beta = 0;
    QueryBy query = QueryBy::activation;
    Scope scope = Scope::sample;
    Correction correction = Correction::none;  // log_q: SimHash and a sample's own set only
};

/// What negatives are drawn from: all neurons, those that are met (see Network), or the met ones in
/// proportion to their counts.
enum class NegativesFrom { all, met, popular };

/// Softmax over the labels of the batch and `negatives` draws (with repeats, which count once),
/// shared by the batch.
struct UniformOutput {
    std::uint32_t negatives = 4096;
    NegativesFrom from = NegativesFrom::all;
    Correction correction = Correction::none;
};

/// Softmax over all neurons.
struct FullOutput {};

using OutputConfig = std::variant<LshOutput, UniformOutput, FullOutput>;

/// A hidden layer, with ReLU: all neurons are active, or of each sample some.
///
/// In training a sampled layer takes those of the tables' candidates that have the highest
/// pre-activation (Rank::count: that were met in most tables), at most mix.lsh, and mix.uniform
/// draws; in prediction, which needs no tables,
/// the mix.lsh highest of all. Its sampling is top_k, exact (all rows are looked at) or none (draws
/// alone); it has no labels, so mix.batch, query, scope and correction have to be their defaults
/// (mix.batch: 0). Behind it only positive activations are handed on.
struct HiddenLayer {
    std::uint32_t width = 128;
    std::optional<LshOutput> sampled = std::nullopt;
    std::optional<Optimizer> optimizer = std::nullopt;  // without: the network's
    std::optional<Precision> precision = std::nullopt;  // without: the network's, or fp32 where
                                                        // rows are sampled or met by sparse input
    /// Of the weights; without: the network's in the first layer, sqrt(2 / active inputs) behind it
    /// (He et al. 2015).
    std::optional<float> initial_deviation = std::nullopt;
};

/// Hidden layers, the one next to the input first. A number is the width of a single dense one.
struct HiddenLayers : std::vector<HiddenLayer> {
    using vector::vector;
    HiddenLayers(std::uint32_t width) : vector(1, HiddenLayer{.width = width}) {}

    /// Width of what the output layer reads.
    [[nodiscard]] std::uint32_t last_width() const noexcept { return back().width; }
};

/// softmax: cross-entropy against targets that sum to 1. sigmoid: cross-entropy of each active
/// neuron by itself, for labels that do not exclude each other. squared: half the squared
/// difference of each active neuron's output from its target, for regression and embeddings.
/// Targets are data::PointsView::label_values, or 1 each, and 0 for all other active neurons;
/// softmax divides them by their sum. A point without labels teaches nothing.
enum class Loss { softmax, sigmoid, squared };

struct NetworkConfig;
/// Of a layer: a hidden one by its place, or the output behind them.
[[nodiscard]] SLIDEKIT_API Optimizer optimizer_of(const NetworkConfig& config, std::size_t layer);
/// What the weights of a hidden layer are called, in regions and files: "input", "hidden2"...
[[nodiscard]] SLIDEKIT_API std::string hidden_name(std::size_t layer);
/// Whether the output layer reads lists of active neurons; see NetworkConfig::lists_to_output.
[[nodiscard]] SLIDEKIT_API bool output_reads_lists(const NetworkConfig& config);

/// How the gradients of a batch reach the weights.
/// grouped    pairs are grouped by row, each row is read and updated once by one thread: the same
///            bits for any number of threads;
/// hogwild    as SLIDE [MLSys 2020], section 3, describes it: each sample by itself reads the
///            weights as they are, and updates its rows at once (Niu et al. [NIPS 2011]). Decay and
///            the optimiser's state move at each of these updates;
/// racy_sums  as its released code does it: samples, at once, add their gradients to sums that they
///            share, and a batch ends with one update of the rows touched.
/// The latter two work without locks, by relaxed atomics: what another thread writes meanwhile is
/// lost, and the result depends on threads and time. They are for LshOutput with a sample's own
/// sets, fp32 weights and one domain. Tables, 8-bit copies and the queries' centre are those of the
/// batches before.
enum class Update { grouped, hogwild, racy_sums };

struct NetworkConfig {
    std::uint32_t features = 0;
    HiddenLayers hidden = 128;
    std::uint32_t labels = 0;
    OutputConfig output;
    Loss loss = Loss::softmax;
    Optimizer optimizer = Optimizer::adam;
    Precision precision = Precision::fp32;                     // of all layers' weights
    std::optional<Optimizer> output_optimizer = std::nullopt;  // without: `optimizer`
    std::optional<Precision> output_precision = std::nullopt;  // without: `precision`
    /// Whether the output reads the lists of a sampled last hidden layer, at a cost of active pairs
    /// times non-zeros, or a matrix of its activations, by the kernels of dense rows; without:
    /// lists from 513 neurons on. Lists refuse what HiddenLayer refuses of a sampled layer.
    std::optional<bool> lists_to_output = std::nullopt;
    Update update = Update::grouped;
    float initial_deviation =
        0.01F;  // of the weights; 0: all zero, for a network that is read from a file
    std::uint64_t seed = 1;
};

/// Seconds of one step, by stage. Of Update::hogwild, which has no stages, all is in `backward`; of
/// racy_sums `backward` is the pass over the samples, `input_backward` the update of both layers.
struct SLIDEKIT_API StageSeconds {
    double input_forward = 0;
    double hash = 0;
    double select = 0;  // retrieval, ranking and drawing of negatives; slices of a rebuild
    double group = 0;
    double forward = 0;   // logits and softmax
    double backward = 0;  // output layer's gradients and updates
    double input_backward = 0;

    SLIDEKIT_API StageSeconds& operator+=(const StageSeconds& other) noexcept;
};

/// A layer's weights, biases included: a hidden layer by its place, the first of which is called
/// the input layer, or the output.
enum class Layer : std::uint32_t { input = 0, output = 0x7fffffff };
/// "input layer", "hidden layer 2", "output layer".
[[nodiscard]] SLIDEKIT_API std::string name_of(Layer layer);

/// The rules of one step: one for all layers, or one each, hidden layers first and the output last.
class UpdateRules {
public:
    template <class Rule>
    requires std::convertible_to<const Rule&, UpdateRule> UpdateRules(const Rule& all)
        : rules_{UpdateRule(all)} {}
    explicit UpdateRules(std::vector<UpdateRule> by_layer) : rules_(std::move(by_layer)) {}

    [[nodiscard]] const UpdateRule& of(std::size_t layer) const noexcept {
        return rules_[rules_.size() == 1 ? 0 : layer];
    }

private:
    std::vector<UpdateRule> rules_;
};

/// What one training step did.
struct SLIDEKIT_API StepReport {
    double loss = 0;            // sum over the samples: cross-entropy against 1/|Y| on each label
    std::uint64_t samples = 0;  // with at least one label; others teach nothing
    std::uint64_t active = 0;   // pairs (sample, neuron)
    std::uint64_t rows_touched = 0;      // distinct neurons
    std::uint64_t rows_remote = 0;       // of these: their rows stand on another domain's node
    std::uint64_t candidates = 0;        // distinct ids in the samples' buckets
    std::uint64_t labels = 0;            // true labels...
    std::uint64_t labels_retrieved = 0;  // ...that were among the candidates
    std::uint64_t correct = 0;           // samples whose best active neuron is a label
    std::optional<Layer> not_finite;     // the first that gave NaN or infinity, if one did
    StageSeconds seconds;

    SLIDEKIT_API StepReport& operator+=(const StepReport& other) noexcept;
    /// Without not_finite: a run does not go on from there.
    SLIDEKIT_API void visit_state(StateVisitor& state, const std::string& name);
};

/// Where NaN or infinity stands.
struct NonFinite {
    Layer layer = Layer::input;
    std::optional<std::uint32_t> row;  // absent: the input layer's bias
};

/// Against overfitting and outliers, in training only.
struct Regularisers {
    /// E of the target goes to all active neurons evenly, 1 - E to the labels.
    float label_smoothing = 0;
    /// Longest gradient of one sample's own loss by its hidden activations; longer ones are
    /// shortened to it before they reach the input layer. 0: as they are. The output layer's update
    /// needs no such bound: a sample's logit gradients are within 2 in sum of magnitudes.
    float clip_norm = 0;
};

enum class RebuildRows { touched, all };
enum class HashFunctions { keep, redraw };

/// A rebuild of the tables that is spread over steps.
struct RebuildPlan {
    /// Rows to hash anew: those that a step has changed since they were last hashed, or all. The
    /// keys of rows left out are of the centre of their time.
    RebuildRows rows = RebuildRows::touched;
    std::uint32_t steps = 0;  // that each do a part of it; 0: all when it is finished
    HashFunctions functions = HashFunctions::keep;  // redraw: hashes all rows
};

/// What one rebuild of the tables did.
struct RebuildReport {
    double seconds = 0;             // when training stood still
    std::uint32_t steps = 0;        // that did a part of it
    double background_seconds = 0;  // of work in those steps, summed over the workers
    std::uint64_t rows = 0;         // hashed
    lsh::Occupancy occupancy;
};

/// A prediction: labels of the highest logits, best first; ties to the lower id.
struct Ranked {
    std::uint32_t label = 0;
    float score = 0;

    /// Stands where retrieval found fewer labels than were asked for.
    static constexpr std::uint32_t kNone = 0xffffffff;
    [[nodiscard]] static constexpr Ranked none() noexcept {
        return {kNone, -std::numeric_limits<float>::infinity()};
    }
};

/// What finds neurons by hash: the drawn functions, the rows in the tables, the queries' centre.
struct RetrievalSetup {
    LshOutput output;                // its mix is of no use here
    std::vector<std::uint32_t> met;  // neurons that the tables hold, ascending
    std::vector<float> centre;       // hidden floats
};

/// Predictions through hash tables.
struct Retrieved {
    std::vector<Ranked> best;      // point after point; Ranked::kNone where too few were found
    std::uint64_t candidates = 0;  // distinct neurons in a point's buckets, over all points
};

/// Move-only. train_step and the rebuilds are confined to one thread (they use the runtime's
/// workers); predict is const.
class SLIDEKIT_API Network {
public:
    /// Draws initial weights from the seed. `met`: neurons that the tables shall hold and negatives
    /// are drawn from, ascending (those whose label occurs in training); empty: all. `counts`: how
    /// often each of them occurs; empty: once. Throws Error (memory, usage).
    Network(system::Runtime& runtime,
            const NetworkConfig& config,
            std::vector<std::uint32_t> met = {},
            std::vector<std::uint32_t> counts = {});
    Network(Network&&) noexcept;
    Network& operator=(Network&&) noexcept;
    ~Network();

    [[nodiscard]] const NetworkConfig& config() const noexcept;
    /// Parts that the output layer is cut into, one a memory domain.
    [[nodiscard]] std::size_t shards() const noexcept;

    /// One batch: forward, backward, update. `step` counts from 0 and names the random streams.
    /// Requires: batch.features and batch.labels equal the network's. Same bits for any number of
    /// threads, but for Update::hogwild and racy_sums.
    StepReport train_step(const data::PointsView& batch,
                          const UpdateRules& rules,
                          std::uint64_t step,
                          const Regularisers& regularisers = {});

    /// The first weight or bias that is NaN or infinite. Reads all of them once.
    [[nodiscard]] std::optional<NonFinite> find_nonfinite() const;

    /// Whether any layer has tables, so that there is something to rebuild.
    [[nodiscard]] bool has_tables() const noexcept;
    /// Hashes all rows of layers with tables anew, also those that others than train_step have
    /// changed. Nothing for the baselines. Requires: no rebuild is under way.
    RebuildReport rebuild_tables();

    /// Begins a rebuild: plan.steps calls of train_step do a part each, and the old tables serve
    /// until finish_rebuild(). Those of hidden layers, and of an output behind a sampled layer, are
    /// rebuilt there as a whole. Requires: none is under way.
    void begin_rebuild(const RebuildPlan& plan);
    /// Does what the steps since have left, and puts the new tables in place of the old. Which
    /// parts a step does is fixed by the plan, so the bits do not depend on threads or time.
    RebuildReport finish_rebuild();
    /// Share of bucket keys, of a fixed sample of some hundred rows, that have changed since the
    /// last rebuild; 0 for the baselines. Requires: no rebuild is under way.
    [[nodiscard]] double table_drift() const;

    /// Share of the exact top `mix.lsh` neurons that the tables find for these points (all rows
    /// scanned); negative where there are no tables.
    [[nodiscard]] double top_recall(const data::PointsView& points);

    /// The `count` best labels of each point by exact evaluation over all neurons, point after
    /// point; count <= labels.
    [[nodiscard]] std::vector<Ranked> predict(const data::PointsView& points,
                                              std::uint32_t count) const;

    /// The setup of the tables that this network trains or predicts with, of which a model file
    /// takes note; no rows where there are none.
    [[nodiscard]] RetrievalSetup retrieval_setup() const;
    /// Builds tables for retrieve(), over the weights as they are now. Throws Error (memory,
    /// usage). Requires: at least one row, ascending, below the labels; a centre of `hidden`
    /// floats.
    RebuildReport index(RetrievalSetup setup);
    /// As predict(), among each point's candidates alone: scores are its logits, but a label that
    /// no bucket gives is missed. Safe from many threads. Requires: index() before.
    [[nodiscard]] Retrieved retrieve(const data::PointsView& points, std::uint32_t count) const;

    /// The same by looking at each row of the tables in its 8-bit copy: misses hardly anything, and
    /// takes time in proportion to the rows. Requires: index() before, with Rank::dot.
    [[nodiscard]] std::vector<Ranked> scan(const data::PointsView& points,
                                           std::uint32_t count) const;

    /// One of the hidden layers. Rows of weights are of neurons, of a dense first layer of
    /// features.
    template <class Weights, class Bias>
    struct BasicHiddenView {
        std::string name;  // see hidden_name()
        Weights& weights;
        std::span<Bias> bias;
    };
    using HiddenView = BasicHiddenView<Parameters, float>;
    using ConstHiddenView = BasicHiddenView<const Parameters, const float>;
    [[nodiscard]] std::vector<HiddenView> hidden_layers();
    [[nodiscard]] std::vector<ConstHiddenView> hidden_layers() const;
    /// Weights of the first hidden layer.
    [[nodiscard]] Parameters& input() noexcept;
    [[nodiscard]] const Parameters& input() const noexcept;
    [[nodiscard]] Parameters& output() noexcept;
    [[nodiscard]] const Parameters& output() const noexcept;
    /// The first hidden layer's bias.
    [[nodiscard]] std::span<float> hidden_bias() noexcept;
    [[nodiscard]] std::span<const float> hidden_bias() const noexcept;

    /// All that later steps depend on, in one order. Restoring wants a network of the same
    /// configuration, neurons met and domains; it goes on with the bits of the one that was saved,
    /// whatever the threads, a rebuild that is under way included. Throws Error (input) where what
    /// is restored does not fit, and is then neither the one nor the other.
    void visit_state(StateVisitor& state);

    /// Bytes that a network of this configuration takes, and its tables; batch: samples a step.
    [[nodiscard]] static std::size_t bytes(const NetworkConfig& config, std::uint32_t batch);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::nn
