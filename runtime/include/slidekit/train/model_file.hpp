// A network as a safetensors file: input.weight, input.bias, output.weight, output.bias, of further
// hidden layers hidden2.weight and so on, and its configuration as JSON in the metadata.
//
// Rows of weights are of neurons, of a dense first layer of features. A sampled hidden layer is
// noted with how many of its neurons are active in prediction.
//
// Of one that was trained by LSH also what its tables are made from: retrieval.rows (the neurons in
// them) and retrieval.centre (of the queries). The tables themselves are built again in less time
// than they would take to read.
#pragma once

#include <filesystem>

#include <slidekit/kernels/export.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::train {

/// Throws Error (output); an existing file is replaced whole or left as it was.
SLIDEKIT_API void save_model(const nn::Network& network, const std::filesystem::path& file);

/// The shapes that a model file says it has, for checks before memory is taken.
struct ModelShape {
    std::uint32_t features = 0;
    nn::HiddenLayers hidden;  // of sampled ones: mix.lsh neurons are active, 0: all
    std::uint32_t labels = 0;
};
/// Throws Error (input) for a missing, torn or foreign file.
[[nodiscard]] SLIDEKIT_API ModelShape read_model_shape(const std::filesystem::path& file);

/// A network for evaluation and prediction (no tables, no moments). Throws Error (input, memory).
[[nodiscard]] SLIDEKIT_API nn::Network load_model(system::Runtime& runtime,
                                                  const std::filesystem::path& file);

/// What Network::index() needs to build this model's tables. Throws Error (input) for a file that
/// has nothing of the kind, naming the remedy, or that contradicts itself.
[[nodiscard]] SLIDEKIT_API nn::RetrievalSetup read_retrieval(const std::filesystem::path& file);

}  // namespace slidekit::train
