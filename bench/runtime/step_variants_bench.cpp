// What determinism costs: the grouped step of the output layer against racy forms of the same step.
//
// All forms get the same active sets over 670,091 x 128 rows (256 samples) and do the same work:
// logits, softmax, gradients of the hidden vectors, update of each active row. They differ in what
// fixes the order:
//   grouped     the library's: stable grouping, fixed pieces, sums in the order of pieces
//   by_worker   gradients of the hidden vectors into one buffer a thread, 256 pieces scheduled as
//               they come
//   scattered   by_worker, and groups in the order in which threads meet their ids, members in the
//               order in which an atomic cursor of the group hands out places
//   hogwild     per sample, without grouping: a row is updated at once, moments too, whatever
//               another thread does to it (Niu et al. 2011): what nn::Update::hogwild runs
//   racy        per sample into gradient sums that threads share, then one update a row, as the
//               released SLIDE code does: what nn::Update::racy_sums runs
// Forms take turns within one process, so that a busy machine slows all alike.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/grouping.hpp"
#include "nn/output_step.hpp"
#include "nn/racy_sums.hpp"
#include "nn/relaxed_rows.hpp"

namespace slidekit::nn {
namespace {

using kernels::RowMatrix;

constexpr std::uint32_t kNeurons = 670'091;
constexpr std::uint32_t kDim = 128;
constexpr std::uint32_t kSamples = 256;
constexpr std::size_t kMostPairs = std::size_t{kSamples} * 1000;

struct Layer {
    explicit Layer(system::Runtime& runtime, Optimizer optimizer)
        : parameters(runtime, "output", kNeurons, kDim, optimizer, Bias::per_row),
          hidden_values(std::size_t{kSamples} * kDim),
          gradient_values(hidden_values.size()) {
        parameters.initialize(runtime.executor(), 1, 1, 0.01F);
        system::Stream stream(1, system::Purpose::test);
        for (float& value : hidden_values) value = std::max(0.0F, stream.normal());
    }
    [[nodiscard]] RowMatrix<const float> hidden() const {
        return {hidden_values.data(), kSamples, kDim, kDim};
    }
    [[nodiscard]] RowMatrix<float> gradient() {
        return {gradient_values.data(), kSamples, kDim, kDim};
    }

    Parameters parameters;
    std::vector<float> hidden_values;
    std::vector<float> gradient_values;
};

// Who shares rows decides what grouping is worth: `own` sets are drawn for each sample, half
// uniformly and half by a skewed draw as hot labels are; `mixed` ones are the engine's default mix:
// a third by the skewed draw, a third from 1,300 labels of the batch, a third uniform and shared by
// four samples.
enum class Sets { own, mixed };

struct Batch {
    Batch(Sets sets, std::uint32_t active, std::uint64_t step)
        : ids(std::size_t{kSamples} * active), values(ids.size()), runs(kSamples) {
        for (std::uint32_t s = 0; s < kSamples; ++s) {
            runs[s] = {s * active, active};
            system::Stream own(2, system::Purpose::test, step, s);
            system::Stream shared(3, system::Purpose::test, step, s / 4);
            for (std::uint32_t i = 0; i < active; ++i) {
                std::uint32_t& id = ids[s * active + i];
                if (sets == Sets::own)
                    id = i % 2 == 0 ? own.below(kNeurons) : skewed(own);
                else if (i % 3 == 0)
                    id = skewed(own);
                else
                    id = i % 3 == 1 ? own.below(1300) * 515 : shared.below(kNeurons);
            }
        }
    }
    static std::uint32_t skewed(system::Stream& stream) {
        const float u = stream.uniform();
        return static_cast<std::uint32_t>(static_cast<float>(kNeurons) * u * u * u);
    }
    [[nodiscard]] std::span<const std::uint32_t> ids_of(std::size_t sample) const {
        return std::span(ids).subspan(runs[sample].first, runs[sample].count);
    }
    std::vector<std::uint32_t> ids;
    std::vector<float> values;
    std::vector<SlotRun> runs;
};

// The first neuron of a sample stands for its label.
void softmax(Batch& batch, std::size_t sample) {
    const SlotRun run = batch.runs[sample];
    float* const values = batch.values.data() + run.first;
    const float sum = kernels::exp_sum(values, run.count, kernels::max_value(values, run.count));
    kernels::scale(1.0F / (sum * kSamples), values, run.count);
    values[0] -= 1.0F / kSamples;
}

class Grouped {
public:
    void step(system::Executor& executor, Layer& layer, Batch& batch, const UpdateRule& rule) {
        forward(executor, layer, batch);
        gradients_.resize(Grouping::kPieces, kSamples, kDim);
        executor.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker) {
            layer.parameters.update_groups(grouping_.piece(piece),
                                           batch.values.data(),
                                           layer.hidden(),
                                           gradients_.zeroed(piece),
                                           rule);
        });
        gradients_.sum_into(executor, 0, Grouping::kPieces, layer.gradient());
    }

private:
    void forward(system::Executor& executor, Layer& layer, Batch& batch) {
        grouping_.build(executor, batch.ids, batch.runs, kNeurons);
        executor.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker) {
            kernels::dot_groups(grouping_.piece(piece),
                                layer.parameters.weights(),
                                layer.parameters.bias().data(),
                                layer.hidden(),
                                batch.values.data());
        });
        executor.for_each(kSamples, [&](std::size_t s, system::Worker) { softmax(batch, s); });
    }
    Grouping grouping_;
    PieceGradients gradients_;
};

// Pairs by neuron without any order. Ids are not ascending, which the kernels' bodies do not need.
class Scatter {
public:
    static constexpr std::size_t kPieces = 256;

    Scatter()
        : cursors_(kNeurons), ids_(kMostPairs), starts_(kMostPairs + 1), members_(kMostPairs) {}

    void build(system::Executor& executor,
               const std::vector<std::uint32_t>& ids,
               const std::vector<SlotRun>& runs,
               std::uint32_t) {
        std::atomic<std::uint32_t> groups = 0;
        executor.for_each(runs.size(), [&](std::size_t s, system::Worker) {
            std::uint32_t fresh[kMostPairs / kSamples];
            std::uint32_t count = 0;
            for (std::uint32_t slot = runs[s].first; slot < runs[s].first + runs[s].count; ++slot)
                if (cursor(ids[slot]).fetch_add(1, std::memory_order_relaxed) == 0)
                    fresh[count++] = ids[slot];
            std::copy_n(fresh, count, ids_.begin() + groups.fetch_add(count));
        });
        count_ = groups;
        // From counts to places: sums of the pieces, then each piece from its sum on.
        std::uint32_t sums[kPieces + 1] = {};
        executor.for_each(kPieces, [&](std::size_t piece, system::Worker) {
            for (std::size_t g = begin(piece); g < begin(piece + 1); ++g)
                sums[piece + 1] += cursors_[ids_[g]];
        });
        for (std::size_t piece = 0; piece < kPieces; ++piece) sums[piece + 1] += sums[piece];
        executor.for_each(kPieces, [&](std::size_t piece, system::Worker) {
            std::uint32_t at = sums[piece];
            for (std::size_t g = begin(piece); g < begin(piece + 1); ++g) {
                starts_[g] = at;
                at += std::exchange(cursors_[ids_[g]], at);
            }
        });
        starts_[count_] = sums[kPieces];
        executor.for_each(runs.size(), [&](std::size_t s, system::Worker) {
            for (std::uint32_t slot = runs[s].first; slot < runs[s].first + runs[s].count; ++slot)
                members_[cursor(ids[slot]).fetch_add(1, std::memory_order_relaxed)] = {
                    static_cast<std::uint32_t>(s), slot};
        });
        executor.for_each(kPieces, [&](std::size_t piece, system::Worker) {
            for (std::size_t g = begin(piece); g < begin(piece + 1); ++g) cursors_[ids_[g]] = 0;
        });
        slots_ = ids.size();
    }
    [[nodiscard]] kernels::GroupsView view() const {
        return {ids_.data(), starts_.data(), members_.data(), count_, slots_};
    }

private:
    std::atomic_ref<std::uint32_t> cursor(std::uint32_t id) {
        return std::atomic_ref(cursors_[id]);
    }
    [[nodiscard]] std::size_t begin(std::size_t piece) const { return count_ * piece / kPieces; }

    std::vector<std::uint32_t> cursors_;  // of each neuron: pairs, then the next place
    std::vector<std::uint32_t> ids_;
    std::vector<std::uint32_t> starts_;
    std::vector<kernels::Member> members_;
    std::size_t count_ = 0;
    std::size_t slots_ = 0;
};

template <class Groups>
class ByWorker {
public:
    void step(system::Executor& executor, Layer& layer, Batch& batch, const UpdateRule& rule) {
        groups_.build(executor, batch.ids, batch.runs, kNeurons);
        executor.for_each(kPieces, [&](std::size_t piece, system::Worker) {
            layer.parameters.dot_groups(slice(piece), layer.hidden(), batch.values.data());
        });
        executor.for_each(kSamples, [&](std::size_t s, system::Worker) { softmax(batch, s); });
        buffers_.assign(executor.threads() * layer.gradient_values.size(), 0.0F);
        executor.for_each(kPieces, [&](std::size_t piece, system::Worker worker) {
            float* const buffer = buffers_.data() + worker * layer.gradient_values.size();
            layer.parameters.update_groups(slice(piece),
                                           batch.values.data(),
                                           layer.hidden(),
                                           {buffer, kSamples, kDim, kDim},
                                           rule);
        });
        layer.gradient_values.assign(
            buffers_.begin(), buffers_.begin() + static_cast<std::ptrdiff_t>(kSamples * kDim));
        for (unsigned worker = 1; worker < executor.threads(); ++worker) {
            kernels::axpy(1,
                          buffers_.data() + worker * layer.gradient_values.size(),
                          layer.gradient_values.data(),
                          layer.gradient_values.size());
        }
    }

private:
    static constexpr std::size_t kPieces = 256;

    [[nodiscard]] kernels::GroupsView slice(std::size_t piece) const {
        const kernels::GroupsView all = groups_.view();
        const std::size_t begin = all.count * piece / kPieces;
        return {all.ids + begin,
                all.starts + begin,
                all.members,
                all.count * (piece + 1) / kPieces - begin,
                all.slots};
    }
    Groups groups_;
    std::vector<float> buffers_;
};

// The library's rows for HOGWILD, a sample at a time.
class Hogwild {
public:
    void step(system::Executor& executor, Layer& layer, Batch& batch, const UpdateRule& rule) {
        RelaxedRows rows(layer.parameters);
        copies_.resize(executor.threads());
        executor.for_each(kSamples, [&](std::size_t s, system::Worker worker) {
            if (!copies_[worker]) copies_[worker].emplace(kDim);
            const std::span<const std::uint32_t> ids = batch.ids_of(s);
            float* const values = batch.values.data() + batch.runs[s].first;
            rows.dot_rows(layer.hidden().row(s), ids, values, *copies_[worker]);
            softmax(batch, s);
            std::fill_n(layer.gradient().row(s), kDim, 0.0F);
            rows.update_rows({ids.data(), values, ids.size()},
                             layer.hidden().row(s),
                             layer.gradient().row(s),
                             rule,
                             *copies_[worker]);
        });
    }

private:
    std::vector<std::optional<RowCopies>> copies_;
};

// Its racy sums of gradients, and one update a row and batch.
class Racy {
public:
    Racy(system::Runtime& runtime, Layer& layer) : sums_(runtime, "output", layer.parameters) {}
    void step(system::Executor& executor, Layer& layer, Batch& batch, const UpdateRule& rule) {
        copies_.resize(executor.threads());
        executor.for_each(kSamples, [&](std::size_t s, system::Worker worker) {
            if (!copies_[worker]) copies_[worker].emplace(kDim);
            const std::span<const std::uint32_t> ids = batch.ids_of(s);
            float* const values = batch.values.data() + batch.runs[s].first;
            const kernels::SparseView pairs{ids.data(), values, ids.size()};
            layer.parameters.dot_rows(layer.hidden().row(s), ids.data(), ids.size(), values);
            for (std::size_t i = 0; i < ids.size(); ++i)
                values[i] += layer.parameters.bias()[ids[i]];
            softmax(batch, s);
            std::fill_n(layer.gradient().row(s), kDim, 0.0F);
            layer.parameters.bag_rows(pairs, layer.gradient().row(s));
            sums_.add(pairs, layer.hidden().row(s), worker, *copies_[worker]);
        });
        sums_.update(rule);
    }

private:
    RacySums sums_;
    std::vector<std::optional<RowCopies>> copies_;
};

constexpr int kRounds = 15;
constexpr int kForms = 4;  // beside the grouped one
constexpr std::uint64_t kBatches = 3;

template <class Form>
double seconds(Form& form,
               system::Executor& executor,
               Layer& layer,
               std::vector<Batch>& batches,
               const UpdateRule& rule) {
    const auto start = std::chrono::steady_clock::now();
    for (Batch& batch : batches) form.step(executor, layer, batch, rule);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// With rows that stand still all forms have one gradient, but for the order of its sums.
template <class Form>
void check(Form& form,
           const char* name,
           system::Executor& executor,
           Layer& layer,
           Batch& batch,
           std::span<const float> expected) {
    form.step(executor, layer, batch, kernels::SgdStep{});
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (std::fabs(layer.gradient_values[i] - expected[i]) < 1e-6F) continue;
        std::fprintf(stderr,
                     "%s: element %zu of the gradient is %g instead of %g\n",
                     name,
                     i,
                     static_cast<double>(layer.gradient_values[i]),
                     static_cast<double>(expected[i]));
        std::exit(1);
    }
}

void check_forms(system::Runtime& runtime) {
    Layer layer(runtime, Optimizer::sgd);
    Batch batch(Sets::own, 600, 0);
    Grouped grouped;
    ByWorker<Grouping> by_worker;
    ByWorker<Scatter> scattered;
    Hogwild hogwild;
    Racy racy(runtime, layer);
    grouped.step(runtime.executor(), layer, batch, kernels::SgdStep{});
    const std::vector<float> expected = layer.gradient_values;
    check(by_worker, "by_worker", runtime.executor(), layer, batch, expected);
    check(scattered, "scattered", runtime.executor(), layer, batch, expected);
    check(hogwild, "hogwild", runtime.executor(), layer, batch, expected);
    check(racy, "racy", runtime.executor(), layer, batch, expected);
    float most = 0;
    for (const float value : expected) most = std::max(most, std::fabs(value));
    if (most < 1e-5F) {
        std::fprintf(stderr, "the gradient vanishes: nothing was compared\n");
        std::exit(1);
    }
}

void compare(system::Runtime& runtime, Sets sets, std::uint32_t active, Optimizer optimizer) {
    Layer layer(runtime, optimizer);
    const bool sgd = optimizer == Optimizer::sgd;
    const UpdateRule rule = sgd ? UpdateRule(kernels::SgdStep{.lr = 0.01F})
                                : UpdateRule(kernels::AdamStep{.lr = 1e-3F});
    std::vector<Batch> batches;
    for (std::uint64_t step = 0; step < kBatches; ++step) batches.emplace_back(sets, active, step);
    Grouped grouped;
    ByWorker<Grouping> by_worker;
    ByWorker<Scatter> scattered;
    Hogwild hogwild;
    Racy racy(runtime, layer);
    std::vector<double> rates;
    std::vector<double> ratios[kForms];
    for (int round = 0; round <= kRounds; ++round) {
        system::Executor& executor = runtime.executor();
        const double of_grouped = seconds(grouped, executor, layer, batches, rule);
        const double others[kForms] = {seconds(by_worker, executor, layer, batches, rule),
                                       seconds(scattered, executor, layer, batches, rule),
                                       seconds(hogwild, executor, layer, batches, rule),
                                       seconds(racy, executor, layer, batches, rule)};
        if (round == 0) continue;  // buffers grow
        rates.push_back(static_cast<double>(kBatches * kSamples) / of_grouped);
        for (int form = 0; form < kForms; ++form) ratios[form].push_back(of_grouped / others[form]);
    }
    std::printf("%-5s %-5s %6u %17.0f %9.3fx %9.3fx %9.3fx %9.3fx\n",
                sets == Sets::own ? "own" : "mixed",
                sgd ? "sgd" : "adam",
                active,
                median(rates),
                median(ratios[0]),
                median(ratios[1]),
                median(ratios[2]),
                median(ratios[3]));
    std::fflush(stdout);
}

}  // namespace
}  // namespace slidekit::nn

int main(int argc, char** argv) {
    const unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2;
    slidekit::system::Runtime runtime({.threads = threads});
    slidekit::nn::check_forms(runtime);
    std::printf("%-5s %-5s %6s %17s %10s %10s %10s %10s\n",
                "sets",
                "",
                "active",
                "grouped, samples/s",
                "by_worker",
                "scattered",
                "hogwild",
                "racy");
    using slidekit::nn::Sets;
    for (const Sets sets : {Sets::own, Sets::mixed})
        for (const std::uint32_t active : {600U, 1000U}) {
            slidekit::nn::compare(runtime, sets, active, slidekit::nn::Optimizer::adam);
            slidekit::nn::compare(runtime, sets, active, slidekit::nn::Optimizer::sgd);
        }
}
