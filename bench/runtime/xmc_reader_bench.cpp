// Loading a data set: from text, from gzip, and from the cache.
//
// Bytes are those of the text in each case, so that the three rates compare as what a user waits
// for. Files are in the page cache: the disk is not what is measured.
#include <cstdint>
#include <filesystem>
#include <string>

#include <benchmark/benchmark.h>
#include <unistd.h>
#include <zlib.h>

#include <slidekit/data/atomic_file.hpp>
#include <slidekit/data/dataset.hpp>
#include <slidekit/data/synthetic.hpp>

namespace {

namespace data = slidekit::data;
namespace fs = std::filesystem;

constexpr std::uint32_t kPoints = 50000;

// The text of one shape, plain and compressed, in a folder that goes with the program.
struct Files {
    Files() : folder(fs::temp_directory_path() / ("xmc-bench-" + std::to_string(::getpid()))) {
        fs::create_directory(folder);
        const data::SyntheticShape& shape = data::synthetic_shapes().front();
        std::string text = std::to_string(kPoints) + ' ' + std::to_string(shape.features) + ' ' +
                           std::to_string(shape.labels) + '\n';
        data::append_synthetic_points(shape, 1, 0, kPoints, text);
        text_bytes = static_cast<std::int64_t>(text.size());
        data::AtomicFile plain_file(plain);
        plain_file.write(text);
        plain_file.commit();
        const gzFile out = ::gzopen(gzip.c_str(), "wb6");
        written = out != nullptr &&
                  ::gzwrite(out, text.data(), static_cast<unsigned>(text.size())) == text_bytes;
        written = ::gzclose(out) == Z_OK && written;
    }
    ~Files() {
        std::error_code ignored;
        fs::remove_all(folder, ignored);
    }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    fs::path folder;
    fs::path plain = folder / "train.txt";
    fs::path gzip = folder / "train.txt.gz";
    std::int64_t text_bytes = 0;
    bool written = false;
};

const Files& files() {
    static const Files all;
    return all;
}

void load(benchmark::State& state, const fs::path& file, data::CachePolicy cache) {
    const data::Dataset first = data::load_dataset(file, cache);  // makes the cache where wanted
    const data::Dataset second = data::load_dataset(file, cache);
    if (!files().written || second.view().points != kPoints ||
        second.view().feature_ids.size() != first.view().feature_ids.size() ||
        second.report().from_cache != (cache == data::CachePolicy::use)) {
        state.SkipWithError("the data set was not loaded as it should be");
        return;
    }
    for (auto _ : state) {
        const data::Dataset set = data::load_dataset(file, cache);
        benchmark::DoNotOptimize(set.view().feature_ids.data());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * files().text_bytes);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * kPoints);
    state.SetLabel(std::string(data::synthetic_shapes().front().name));
}

void load_xmc_text(benchmark::State& state) {
    load(state, files().plain, data::CachePolicy::ignore);
}
void load_xmc_gzip(benchmark::State& state) {
    load(state, files().gzip, data::CachePolicy::ignore);
}
void load_xmc_cache(benchmark::State& state) { load(state, files().plain, data::CachePolicy::use); }

BENCHMARK(load_xmc_text)->Unit(benchmark::kMillisecond);
BENCHMARK(load_xmc_gzip)->Unit(benchmark::kMillisecond);
BENCHMARK(load_xmc_cache)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
