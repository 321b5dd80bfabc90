// Checkpoints: the whole state of a training in a folder, one file a checkpoint, the last two kept.
//
// A file appears under its name when it is whole and on disk, and carries a checksum; its place in
// the order is the step in its name, never a time. So a kill at any moment, a full disk or a torn
// file costs at most the work since the checkpoint before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/nn/state.hpp>
#include <slidekit/system/function_ref.hpp>

namespace slidekit::train {

struct RunFields;

/// What a new run does in a folder that has checkpoints: goes on from the newest that is whole, or
/// refuses to start.
enum class Resume { no, yes };

/// A folder of checkpoints that this process alone writes to, for as long as this stands. Confined.
class SLIDEKIT_API CheckpointFolder {
public:
    /// Makes the folder where it is missing, locks it, and removes half-written files that killed
    /// processes left. Throws Error (output) where it cannot be written, or where another process
    /// has it (which is named); Error (usage) for Resume::no where it has checkpoints.
    CheckpointFolder(std::filesystem::path folder, Resume resume);
    CheckpointFolder(CheckpointFolder&&) noexcept;
    CheckpointFolder& operator=(CheckpointFolder&&) noexcept;
    ~CheckpointFolder();

    /// Looks for the newest whole checkpoint, which has to be of this run; keeps it open. Nothing:
    /// there is none, or Resume::no. Once it has found one, says the same again. Throws Error
    /// (usage, input) where it is of another network, data set, training or format, naming the
    /// field, both values and the remedy; Error (input) where there are checkpoints and none is
    /// whole.
    std::optional<std::uint64_t> find(const RunFields& run);
    /// Restores what find() has found, which it then lets go. Throws Error (input).
    void restore(system::FunctionRef<void(nn::StateVisitor&)> walk);
    /// What find() had to remark: files that it skipped, and why.
    [[nodiscard]] const std::vector<std::string>& notes() const noexcept;

    /// Writes a checkpoint and removes those older than the last two. Returns its bytes. Throws
    /// Error (output); what was there before is then still there.
    std::uint64_t write(std::uint64_t step,
                        const RunFields& run,
                        system::FunctionRef<void(nn::StateVisitor&)> walk);

    /// The newest checkpoint that this process has read or written; empty: none.
    [[nodiscard]] const std::filesystem::path& last() const noexcept;
    [[nodiscard]] const std::filesystem::path& path() const noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::train
