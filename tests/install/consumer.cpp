// Somebody else's program: trains a small network through the public headers alone.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/isa.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

int main() {
    using namespace slidekit;
    // Four points, point i with feature i and label i.
    const std::vector<std::uint64_t> offsets = {0, 1, 2, 3, 4};
    const std::vector<std::uint32_t> ids = {0, 1, 2, 3};
    const std::vector<float> values = {1, 1, 1, 1};
    const data::PointsView points{.points = 4,
                                  .features = 4,
                                  .labels = 8,
                                  .feature_offsets = offsets,
                                  .feature_ids = ids,
                                  .feature_values = values,
                                  .label_offsets = offsets,
                                  .label_ids = ids};
    system::Runtime runtime({.threads = 2, .huge_pages = system::HugePages::never});
    nn::Network network(runtime,
                        {.features = 4,
                         .hidden = 16,
                         .labels = 8,
                         .output = nn::LshOutput{.hash = {.k = 2, .l = 4},
                                                 .mix = {.lsh = 2, .batch = 2, .uniform = 4}}});
    network.rebuild_tables();
    double loss = 0;
    for (std::uint64_t step = 0; step < 300; ++step) {
        loss = network.train_step(points, kernels::AdamStep{.lr = 0.02F}, step).loss;
    }
    const std::vector<nn::Ranked> best = network.predict(points, 1);
    for (std::uint32_t i = 0; i < 4; ++i) {
        if (best[i].label != i) return 1;
    }
    const float dot = kernels::dot(values.data(), values.data(), 4);
    std::printf("loss %.4f, dot %.1f on %s\n",
                loss,
                static_cast<double>(dot),
                kernels::isa_name(kernels::active_isa()).data());
    return std::isfinite(loss) && dot == 4 ? 0 : 1;
}
