// Loading a data set: from its cache where that still agrees with the text, else from the text.
#include <slidekit/data/dataset.hpp>

#include <chrono>
#include <utility>

#include <slidekit/system/error.hpp>

#include "data/dataset_cache.hpp"
#include "data/dataset_storage.hpp"
#include "data/xmc_reader.hpp"

namespace slidekit::data {

std::vector<std::uint32_t> count_labels(const PointsView& points) {
    std::vector<std::uint32_t> counts(points.labels);
    for (const std::uint32_t label : points.label_ids) ++counts[label];
    return counts;
}

Dataset::Dataset(std::unique_ptr<Storage> storage) noexcept : storage_(std::move(storage)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

const PointsView& Dataset::view() const noexcept { return storage_->view; }
const DatasetReport& Dataset::report() const noexcept { return storage_->report; }

namespace {

std::unique_ptr<Dataset::Storage> read_text(const std::filesystem::path& file,
                                            const TextSummary* known) {
    auto storage = std::make_unique<Dataset::Storage>();
    storage->arrays = read_xmc(file, known);
    storage->view = storage->arrays.view();
    for (std::size_t i = 0; i < storage->view.points; ++i) {
        storage->report.points_without_labels += storage->view.labels_of(i).empty() ? 1 : 0;
        storage->report.points_without_features += storage->view.nnz_of(i) == 0 ? 1 : 0;
    }
    return storage;
}

}  // namespace

Dataset load_dataset(const std::filesystem::path& file,
                     CachePolicy cache,
                     const TextSummary* known) {
    const auto start = std::chrono::steady_clock::now();
    const FileIdentity identity = identify(file);
    std::string note;
    std::unique_ptr<Dataset::Storage> storage;
    try {
        if (cache == CachePolicy::use) storage = read_cache(file, identity, note);
    } catch (const Error& error) {
        note = std::string("its cache was passed over: ") + error.what();
    }
    if (storage == nullptr) {
        storage = read_text(file, known);
        try {
            if (cache == CachePolicy::use) write_cache(file, identity, *storage);
        } catch (const Error& error) {
            note = std::string("no cache was kept: ") + error.what();
        }
    }
    storage->report.source = file.string();
    storage->report.cache_note = note;
    storage->report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return Dataset(std::move(storage));
}

}  // namespace slidekit::data
