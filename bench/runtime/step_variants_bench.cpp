// What determinism costs: the grouped step of the output layer against racy forms of the same step.
//
// All forms get the same active sets over 670,091 x 128 rows (256 samples; half of a set drawn
// uniformly, half by a skewed draw as hot labels are) and do the same work: logits, softmax,
// gradients of the hidden vectors, update of each active row. They differ in what fixes the order:
//   grouped     the library's: stable grouping, fixed pieces, sums in the order of pieces
//   by_worker   gradients of the hidden vectors into one buffer a thread, 256 pieces scheduled as
//               they come
//   hogwild     per sample, without grouping; rows are updated at once through relaxed atomics
//               (Niu et al. 2011), as the published SLIDE codes do (with plain races)
// Forms take turns within one process, so that a busy machine slows all alike.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/grouping.hpp"
#include "nn/output_step.hpp"

namespace slidekit::nn {
namespace {

using kernels::RowMatrix;

constexpr std::uint32_t kNeurons = 670'091;
constexpr std::uint32_t kDim = 128;
constexpr std::uint32_t kSamples = 256;

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

struct Batch {
    Batch(std::uint32_t active, std::uint64_t step)
        : ids(std::size_t{kSamples} * active), values(ids.size()), runs(kSamples) {
        for (std::uint32_t s = 0; s < kSamples; ++s) {
            runs[s] = {s * active, active};
            system::Stream stream(2, system::Purpose::test, step, s);
            for (std::uint32_t i = 0; i < active; ++i) {
                const float u = stream.uniform();
                ids[s * active + i] =
                    i % 2 == 0
                        ? stream.below(kNeurons)
                        : static_cast<std::uint32_t>(static_cast<float>(kNeurons) * u * u * u);
            }
        }
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
        gradients_.resize(kSamples, kDim);
        executor.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker) {
            layer.parameters.update_groups(grouping_.piece(piece),
                                           batch.values.data(),
                                           layer.hidden(),
                                           gradients_.zeroed(piece),
                                           rule);
        });
        gradients_.sum_into(executor, layer.gradient());
    }

protected:
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

class ByWorker : Grouped {
public:
    void step(system::Executor& executor, Layer& layer, Batch& batch, const UpdateRule& rule) {
        constexpr std::size_t kPieces = 256;
        forward(executor, layer, batch);
        buffers_.assign(executor.threads() * layer.gradient_values.size(), 0.0F);
        const kernels::GroupsView all = grouping_.view();
        executor.for_each(kPieces, [&](std::size_t piece, system::Worker worker) {
            const std::size_t begin = all.count * piece / kPieces;
            const kernels::GroupsView groups{all.ids + begin,
                                             all.starts + begin,
                                             all.members,
                                             all.count * (piece + 1) / kPieces - begin,
                                             all.slots};
            float* const buffer = buffers_.data() + worker * layer.gradient_values.size();
            layer.parameters.update_groups(
                groups, batch.values.data(), layer.hidden(), {buffer, kSamples, kDim, kDim}, rule);
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
    std::vector<float> buffers_;
};

// Rows by SGD only: with plain loads and stores of relaxed atomics the compiler cannot use vectors,
// and Adam's three rows would only show that more.
class Hogwild {
public:
    void step(system::Executor& executor, Layer& layer, Batch& batch, const UpdateRule& rule) {
        const float lr = std::get<kernels::SgdStep>(rule).lr;
        executor.for_each(kSamples, [&](std::size_t s, system::Worker) {
            const SlotRun run = batch.runs[s];
            const float* const hidden = layer.hidden().row(s);
            float* const back = layer.gradient().row(s);
            float* const values = batch.values.data() + run.first;
            const std::uint32_t* const ids = batch.ids.data() + run.first;
            const auto row = [&](std::uint32_t i) {
                constexpr std::uint32_t kAhead = 16;
                if (i + kAhead < run.count) {
                    const float* next = layer.parameters.weights().row(ids[i + kAhead]);
                    for (std::uint32_t k = 0; k < kDim; k += 16) __builtin_prefetch(next + k, 0, 2);
                }
                return layer.parameters.weights().row(ids[i]);
            };
            for (std::uint32_t i = 0; i < run.count; ++i)
                values[i] = dot(row(i), hidden) + layer.parameters.bias()[ids[i]];
            softmax(batch, s);
            std::fill_n(back, kDim, 0.0F);
            for (std::uint32_t i = 0; i < run.count; ++i)
                update(row(i), hidden, back, values[i], lr);
        });
    }

private:
    static float dot(float* row, const float* hidden) {
        float sums[8] = {};
        for (std::uint32_t k = 0; k < kDim; ++k)
            sums[k % 8] += std::atomic_ref(row[k]).load(std::memory_order_relaxed) * hidden[k];
        return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
               ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }
    static void update(float* row, const float* hidden, float* back, float value, float lr) {
        for (std::uint32_t k = 0; k < kDim; ++k) {
            const std::atomic_ref weight(row[k]);
            const float old = weight.load(std::memory_order_relaxed);
            back[k] += value * old;
            weight.store(old - lr * value * hidden[k], std::memory_order_relaxed);
        }
    }
};

constexpr int kRounds = 5;
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

void compare(system::Runtime& runtime, std::uint32_t active, Optimizer optimizer) {
    Layer layer(runtime, optimizer);
    const bool sgd = optimizer == Optimizer::sgd;
    const UpdateRule rule = sgd ? UpdateRule(kernels::SgdStep{.lr = 0.01F})
                                : UpdateRule(kernels::AdamStep{.lr = 1e-3F});
    std::vector<Batch> batches;
    for (std::uint64_t step = 0; step < kBatches; ++step) batches.emplace_back(active, step);
    Grouped grouped;
    ByWorker by_worker;
    Hogwild hogwild;
    std::vector<double> times[3];
    for (int round = 0; round <= kRounds; ++round) {
        const double of_grouped = seconds(grouped, runtime.executor(), layer, batches, rule);
        const double of_worker = seconds(by_worker, runtime.executor(), layer, batches, rule);
        const double of_hogwild =
            sgd ? seconds(hogwild, runtime.executor(), layer, batches, rule) : of_worker;
        if (round == 0) continue;  // buffers grow
        times[0].push_back(of_grouped);
        times[1].push_back(of_worker / of_grouped);
        times[2].push_back(of_hogwild / of_grouped);
    }
    const double rate = static_cast<double>(kBatches * kSamples) / median(times[0]);
    std::printf("%-5s active %4u  grouped %7.0f samples/s, by_worker %7.0f (%.3fx)",
                sgd ? "sgd" : "adam",
                active,
                rate,
                rate / median(times[1]),
                1 / median(times[1]));
    if (sgd) std::printf(", hogwild %7.0f (%.3fx)", rate / median(times[2]), 1 / median(times[2]));
    std::printf("\n");
    std::fflush(stdout);
}

}  // namespace
}  // namespace slidekit::nn

int main(int argc, char** argv) {
    const unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2;
    slidekit::system::Runtime runtime({.threads = threads});
    for (const std::uint32_t active : {600U, 1000U}) {
        slidekit::nn::compare(runtime, active, slidekit::nn::Optimizer::adam);
        slidekit::nn::compare(runtime, active, slidekit::nn::Optimizer::sgd);
    }
}
