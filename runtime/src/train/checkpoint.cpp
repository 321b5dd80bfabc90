// A folder of checkpoints: names, order, what is kept, and whether one belongs to this run.
#include <slidekit/train/checkpoint.hpp>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <slidekit/data/tensor_file.hpp>
#include <slidekit/kernels/isa.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/run_fields.hpp>

#include "train/folder_lock.hpp"
#include "train/state_file.hpp"

namespace slidekit::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Of what a checkpoint holds and how it is named; another one is refused.
constexpr int kFormat = 1;
constexpr const char* kKey = "slidekit.checkpoint";
constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kSuffix = ".safetensors";
constexpr std::string_view kPartial = ".partial-";  // of data::AtomicFile
constexpr std::size_t kKept = 2;

std::string name_of(std::uint64_t step) {
    return fmt::format("{}{:012}{}", kPrefix, step, kSuffix);
}

// The step of a checkpoint's name; nothing for other names.
std::optional<std::uint64_t> step_of(const std::string& name) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
    std::uint64_t step = 0;
    const char* const end = name.data() + name.size() - kSuffix.size();
    const auto [at, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (error != std::errc() || at != end || name != name_of(step)) return std::nullopt;
    return step;
}

// Steps of all checkpoints in the folder, newest first; `partials`: half-written ones.
std::vector<std::uint64_t> list(const fs::path& folder, std::vector<fs::path>* partials = nullptr) {
    std::vector<std::uint64_t> steps;
    std::error_code unreadable;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, unreadable)) {
        const std::string name = entry.path().filename().string();
        if (const auto step = step_of(name)) steps.push_back(*step);
        const std::size_t partial = name.find(kPartial);
        if (partials != nullptr && partial != std::string::npos && step_of(name.substr(0, partial)))
            partials->push_back(entry.path());
    }
    if (unreadable) {
        throw Error(ErrorCode::output,
                    folder.string(),
                    fmt::format("cannot be read ({}); choose a folder that is yours",
                                unreadable.message()));
    }
    std::sort(steps.rbegin(), steps.rend());
    return steps;
}

fs::path made(fs::path folder) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed) {
        throw Error(
            ErrorCode::output,
            folder.string(),
            fmt::format("cannot be made ({}); choose a folder that is yours", failed.message()));
    }
    return folder;
}

std::string metadata_of(std::uint64_t step, const RunFields& run) {
    const json metadata = {{"format", kFormat},
                           {"version", SLIDEKIT_VERSION},
                           {"isa", kernels::isa_name(kernels::active_isa())},
                           {"step", step},
                           {"network", run.network},
                           {"data", run.data},
                           {"training", run.training}};
    return metadata.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A learning rate may change: one that was too high is what a run goes on with a lower one from.
bool may_change(std::string_view name) {
    return name == "lr" || name.ends_with("-lr") || name.ends_with(".lr");
}

// Throws where a field of a section differs, or says so where it may.
void compare(const fs::path& file,
             const json& metadata,
             const char* section,
             const Fields& here,
             ErrorCode code,
             const char* remedy,
             std::vector<std::string>& notes) {
    const auto refuse = [&](const std::string& name, const json& there, const std::string& own) {
        throw Error(code,
                    file.string(),
                    fmt::format("is of another run: {} {} is {} there and {} here; {}, or choose "
                                "another folder to begin anew",
                                section,
                                name,
                                there.is_string() ? there.get<std::string>() : "not set",
                                own,
                                remedy));
    };
    json there = metadata.value(section, json());
    if (!there.is_object()) there = json::object();
    for (const auto& [name, value] : here) {
        const json other = there.value(name, json());
        if (other == value) continue;
        if (!may_change(name) || !other.is_string()) refuse(name, other, value);
        notes.push_back(
            fmt::format("{} was {} and is {} from here on: the run goes on, but not "
                        "with the bits of one that was never stopped",
                        name,
                        other.get<std::string>(),
                        value));
    }
    for (const auto& [name, value] : there.items())
        if (!here.contains(name)) refuse(name, value, "not set");
}

// Throws where a whole checkpoint is not of this run; adds what may differ and does.
void check_run(const fs::path& file,
               const data::TensorFile& tensors,
               const RunFields& run,
               std::vector<std::string>& notes) {
    const auto entry = tensors.metadata().find(kKey);
    const json metadata =
        entry == tensors.metadata().end() ? json() : json::parse(entry->second, nullptr, false);
    if (!metadata.is_object()) {
        throw Error(ErrorCode::input,
                    file.string(),
                    "is no checkpoint, although it is named like one; move it elsewhere");
    }
    if (metadata.value("format", json()) != kFormat) {
        throw Error(
            ErrorCode::input,
            file.string(),
            fmt::format("is a checkpoint of format {}, by slidekit {}, and this is slidekit "
                        "{} with format {}; go on with that version, or choose another "
                        "folder to begin anew",
                        metadata.value("format", json()).dump(),
                        metadata.value("version", json()).dump(),
                        SLIDEKIT_VERSION,
                        kFormat));
    }
    compare(file, metadata, "network", run.network, ErrorCode::usage, "give the same", notes);
    compare(file, metadata, "data", run.data, ErrorCode::input, "give the same data", notes);
    compare(file, metadata, "training", run.training, ErrorCode::usage, "give the same", notes);
}

}  // namespace

struct CheckpointFolder::State {
    State(fs::path path, Resume mode) : folder(made(std::move(path))), lock(folder), resume(mode) {}

    void prune() const;
    void remember(std::uint64_t step);

    fs::path folder;
    FolderLock lock;
    Resume resume;
    std::vector<std::string> notes;
    std::optional<data::TensorFile> found;
    std::optional<std::uint64_t> found_step;
    std::vector<std::uint64_t> good;  // read or written by this process, ascending
    fs::path last;
};

void CheckpointFolder::State::remember(std::uint64_t step) {
    good.erase(std::remove(good.begin(), good.end(), step), good.end());
    good.push_back(step);
    if (good.size() > kKept) good.erase(good.begin());
    last = folder / name_of(step);
}

// Leaves those that are known to be good: what was skipped as torn goes too.
void CheckpointFolder::State::prune() const {
    for (const std::uint64_t step : list(folder)) {
        std::error_code ignored;
        if (std::find(good.begin(), good.end(), step) == good.end())
            fs::remove(folder / name_of(step), ignored);
    }
}

CheckpointFolder::CheckpointFolder(fs::path folder, Resume resume)
    : state_(std::make_unique<State>(std::move(folder), resume)) {
    std::vector<fs::path> partials;
    const std::vector<std::uint64_t> steps = list(state_->folder, &partials);
    std::error_code ignored;
    for (const fs::path& partial : partials) fs::remove(partial, ignored);
    if (resume == Resume::yes || steps.empty()) return;
    throw Error(
        ErrorCode::usage,
        state_->folder.string(),
        fmt::format(
            "has checkpoints up to step {} of an earlier run; resume it (--resume), or choose "
            "another folder to begin anew",
            steps.front()));
}

CheckpointFolder::CheckpointFolder(CheckpointFolder&&) noexcept = default;
CheckpointFolder& CheckpointFolder::operator=(CheckpointFolder&&) noexcept = default;
CheckpointFolder::~CheckpointFolder() = default;

std::optional<std::uint64_t> CheckpointFolder::find(const RunFields& run) {
    State& state = *state_;
    if (state.resume == Resume::no || state.found_step) return state.found_step;
    state.notes.clear();
    for (const std::uint64_t step : list(state.folder)) {
        const fs::path file = state.folder / name_of(step);
        std::optional<data::TensorFile> tensors;
        try {
            tensors.emplace(file);
            tensors->check_sum();
        } catch (const Error& torn) {
            state.notes.push_back(fmt::format("skipped: {}", torn.what()));
            continue;
        }
        check_run(file, *tensors, run, state.notes);
        const json metadata = json::parse(tensors->metadata().at(kKey));
        const std::string isa(kernels::isa_name(kernels::active_isa()));
        if (metadata.value("isa", "") != isa) {
            state.notes.push_back(fmt::format(
                "the checkpoint was written at level {}, this run is at {}: it goes on, "
                "but not with the bits of a run that was never stopped",
                metadata.value("isa", ""),
                isa));
        }
        state.found = std::move(tensors);
        state.found_step = step;
        state.remember(step);
        return step;
    }
    if (state.notes.empty()) return std::nullopt;
    throw Error(ErrorCode::input,
                state.folder.string(),
                fmt::format("has {} checkpoints and none is whole ({}); choose another folder to "
                            "begin anew",
                            state.notes.size(),
                            state.notes.front()));
}

void CheckpointFolder::restore(system::FunctionRef<void(nn::StateVisitor&)> walk) {
    restore_state(*state_->found, walk);
    state_->found.reset();
}

const std::vector<std::string>& CheckpointFolder::notes() const noexcept { return state_->notes; }

std::uint64_t CheckpointFolder::write(std::uint64_t step,
                                      const RunFields& run,
                                      system::FunctionRef<void(nn::StateVisitor&)> walk) {
    const fs::path file = state_->folder / name_of(step);
    write_state(file, walk, {{kKey, metadata_of(step, run)}});
    state_->remember(step);
    state_->prune();
    std::error_code unknown;
    const std::uintmax_t bytes = fs::file_size(file, unknown);
    return unknown ? 0 : bytes;
}

const fs::path& CheckpointFolder::last() const noexcept { return state_->last; }
const fs::path& CheckpointFolder::path() const noexcept { return state_->folder; }

}  // namespace slidekit::train
