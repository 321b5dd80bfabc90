// Two processes, each with one shard of a layer, train it to the bits of one process with all of
// it: what shards know of each other goes through Exchange alone.
#include "nn/exchange.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/random.hpp>

#include "../system/child.hpp"
#include "nn/sampled_softmax.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::exchange_test {
namespace {

constexpr std::uint32_t kNeurons = 1500;
constexpr std::uint32_t kDim = 24;
constexpr std::uint32_t kSamples = 40;
constexpr std::uint64_t kSteps = 6;

// What all processes see.
struct Board {
    std::atomic<unsigned> arrived = 0;
    std::atomic<unsigned> departed = 0;
    std::array<std::byte, std::size_t{4} << 20> bytes;
    std::array<std::array<float, kNeurons * kDim>, 3> weights;  // by process; the third has all
    std::array<std::array<float, kSamples * kDim>, 3> gradients;
    std::array<double, 3> loss;
};

class TwoProcesses final : public Exchange {
public:
    TwoProcesses(Board& board, std::size_t own) : board_(board), own_(own) {}
    [[nodiscard]] bool own(std::size_t shard) const noexcept override { return shard == own_; }
    void all_gather(std::span<std::byte> all, std::span<const std::size_t> ends) override {
        ASSERT_LE(all.size(), board_.bytes.size());
        ASSERT_EQ(ends.back(), all.size());
        const std::size_t begin = own_ == 0 ? 0 : ends[own_ - 1];
        std::copy(all.begin() + static_cast<std::ptrdiff_t>(begin),
                  all.begin() + static_cast<std::ptrdiff_t>(ends[own_]),
                  board_.bytes.begin() + static_cast<std::ptrdiff_t>(begin));
        meet(board_.arrived);
        std::copy_n(board_.bytes.begin(), all.size(), all.begin());
        meet(board_.departed);
        ++rounds_;
    }

private:
    void meet(std::atomic<unsigned>& count) const {
        ++count;
        while (count < 2 * (rounds_ + 1)) ::usleep(10);
    }

    Board& board_;
    std::size_t own_;
    unsigned rounds_ = 0;
};

LshOutput config_of(Sampling sampling) {
    LshOutput config;
    config.hash = {.k = 4, .l = 10};
    config.mix = {.lsh = 25, .batch = 10, .uniform = 15};
    config.bucket_cap = 40;
    config.sampling = sampling;
    return config;
}

// A layer of its own in each process, trained by the same activations and labels.
void train(
    Board& board, std::size_t process, Sampling sampling, unsigned domains, Exchange& exchange) {
    system::Runtime runtime({.threads = domains, .domains = domains});
    const Blocks blocks(kNeurons, domains);
    Parameters parameters(runtime, "output", kNeurons, kDim, Optimizer::adam, Bias::per_row);
    parameters.initialize(runtime.executor(), 1, 0, 0.2F);
    std::vector<std::uint32_t> met;
    for (std::uint32_t id = 0; id < kNeurons; ++id)
        if (id % 3 != 1) met.push_back(id);
    SampledSoftmax layer(
        runtime, parameters, config_of(sampling), std::move(met), 5, blocks, exchange);
    layer.rebuild();
    StepReport report;
    std::vector<float> hidden(kSamples * 32), gradient(kSamples * 32);
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        if (step == 1 && layer.retrieving()) layer.row_tables().begin({.steps = 4});
        if (step == 5 && layer.retrieving()) (void)layer.row_tables().finish();
        system::Stream stream(7, system::Purpose::test, step);
        for (float& value : hidden) value = std::max(0.0F, stream.normal());
        const testing::ToyPoints points = testing::random_points(kSamples, 10, kNeurons, 3, step);
        const UpdateRule rule = kernels::AdamStep{.lr = 1e-2F};
        const data::PointsView batch = points.view();
        layer.step({.batch = batch,
                    .hidden = {hidden.data(), kSamples, kDim, 32},
                    .hidden_gradient = {gradient.data(), kSamples, kDim, 32},
                    .rule = rule,
                    .step = step},
                   report);
    }
    for (std::uint32_t id = 0; id < kNeurons; ++id)
        parameters.copy_row(id, &board.weights[process][id * kDim]);
    for (std::uint32_t s = 0; s < kSamples; ++s)
        std::copy_n(&gradient[s * 32], kDim, &board.gradients[process][s * kDim]);
    board.loss[process] = report.loss;
}

int run_in_two_processes(Board& board, Sampling sampling) {
    const ::pid_t other = ::fork();
    const std::size_t own = other == 0 ? 1 : 0;
    TwoProcesses exchange(board, own);
    train(board, own, sampling, 2, exchange);
    if (other == 0) ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    int status = 0;
    return ::waitpid(other, &status, 0) == other && status == 0 && !::testing::Test::HasFailure()
               ? 0
               : 1;
}

class Exchanged : public ::testing::TestWithParam<Sampling> {};
INSTANTIATE_TEST_SUITE_P(Samplings,
                         Exchanged,
                         ::testing::Values(Sampling::top_k, Sampling::vanilla, Sampling::exact));

TEST_P(Exchanged, TwoProcessesTrainTheLayerOfOne) {
    void* const memory =
        ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    Board& board = *new (memory) Board;
    using testing::exit_code_in_child;
    ASSERT_EQ(exit_code_in_child([&] {
                  train(board, 2, GetParam(), 1, in_process());
                  return 0;
              }),
              0);
    ASSERT_EQ(exit_code_in_child([&] { return run_in_two_processes(board, GetParam()); }), 0);

    const Blocks blocks(kNeurons, 2);
    for (std::size_t process = 0; process < 2; ++process) {
        const Range own = blocks.neurons_of_shard(process);
        EXPECT_EQ(std::memcmp(&board.weights[process][own.begin * kDim],
                              &board.weights[2][own.begin * kDim],
                              own.size() * kDim * sizeof(float)),
                  0)
            << "rows of process " << process;
        EXPECT_EQ(board.gradients[process], board.gradients[2]) << process;
        EXPECT_EQ(board.loss[process], board.loss[2]) << process;
        // Rows of the other one have stayed as they were drawn.
        EXPECT_NE(board.weights[process], board.weights[2]) << process;
    }
    ::munmap(memory, sizeof(Board));
}

}  // namespace
}  // namespace slidekit::nn::exchange_test
