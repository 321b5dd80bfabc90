// A state as a safetensors file with a checksum: written from a walk, restored by the same walk.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <slidekit/data/tensor_file.hpp>
#include <slidekit/nn/state.hpp>
#include <slidekit/system/function_ref.hpp>

namespace slidekit::train {

using StateWalk = system::FunctionRef<void(nn::StateVisitor&)>;

/// Throws Error (output); an existing file is replaced whole or left as it was.
void write_state(const std::filesystem::path& file,
                 StateWalk walk,
                 const std::map<std::string, std::string>& metadata);

/// Throws Error (input) where the file's arrays are not those of the walk.
void restore_state(const data::TensorFile& file, StateWalk walk);

}  // namespace slidekit::train
