// Training steps without grouping: samples of a batch are processed at once, each from its features
// to its updates, and what threads write to one row meets there without locks.
//
// Beside the grouped step so that the papers' claims can be measured: see Update in
// <slidekit/nn/network.hpp>.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/input_layer.hpp"
#include "nn/output_step.hpp"
#include "nn/racy_sums.hpp"
#include "nn/relaxed_rows.hpp"
#include "nn/sampled_softmax.hpp"
#include "nn/touched_rows.hpp"

namespace slidekit::nn {

/// Refuses what an update mode does not know. Throws Error (usage).
void check_update(const NetworkConfig& config, std::size_t domains);

class HogwildStep {
public:
    /// What is referred to must outlive this. Requires: check_update() passes; hogwild or
    /// racy_sums. Throws Error (memory).
    HogwildStep(system::Runtime& runtime,
                Update update,
                InputLayer& input,
                Parameters& output,
                SampledSoftmax& softmax);

    /// One batch. hidden and gradient: by sample, to be overwritten.
    StepReport step(const data::PointsView& batch,
                    kernels::RowMatrix<float> hidden,
                    kernels::RowMatrix<float> gradient,
                    const UpdateRule& rule,
                    std::uint64_t step,
                    const Regularisers& regularisers);

    void visit_state(StateVisitor& state, const std::string& name) {
        state.numbers(name, observed_);
    }

    /// Bytes beyond those of the grouped step.
    [[nodiscard]] static std::size_t bytes(const NetworkConfig& config) noexcept;

private:
    /// A batch: the output layer's arguments, and what concerns the input layer too.
    struct Step {
        OutputStep output;
        kernels::RowMatrix<float> hidden;
        float longest;  // gradient of a sample; 0: any
    };
    /// Gradient sums of the three, for racy_sums.
    struct Sums {
        RacySums input;
        RacySums bias;
        RacySums output;
    };
    /// The first layer that met NaN or infinity, while others go on with what it made of them.
    struct FirstBad {
        static constexpr int kNone = -1;
        std::atomic<int> layer = kNone;

        void note(Layer bad) noexcept {
            int none = kNone;
            layer.compare_exchange_strong(none, static_cast<int>(bad), std::memory_order_relaxed);
        }
    };

    void forward(const Step& step, FirstBad& bad);
    void forward_one(const Step& step, std::size_t sample, RowCopies& copies, FirstBad& bad);
    void hogwild(const Step& step, FirstBad& bad, StepReport& report);
    void racy(const Step& step, FirstBad& bad, StepReport& report);
    void finish_gradient(const Step& step, std::size_t sample, FirstBad& bad) const;
    [[nodiscard]] RowCopies& copies_of(system::Worker worker);

    system::Executor& executor_;
    InputLayer& input_;
    Parameters& output_;
    SampledSoftmax& softmax_;
    RelaxedRows input_rows_;
    RelaxedRows bias_row_;
    RelaxedRows output_rows_;
    std::optional<Sums> sums_;
    TouchedRows touched_;  // rows of the output layer
    bool observed_ = false;
    std::vector<std::unique_ptr<RowCopies>> copies_;  // by worker, made by it
    std::vector<float> zeros_;
};

}  // namespace slidekit::nn
