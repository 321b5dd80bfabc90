// Synthetic points: see the header for the model.
#include <slidekit/data/synthetic.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include <slidekit/data/atomic_file.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::data {

namespace {

constexpr std::uint32_t kClusterSize = 16;       // labels that share features
constexpr std::uint32_t kLabelSignature = 16;    // features of a label
constexpr std::uint32_t kClusterSignature = 24;  // features of a cluster
constexpr float kNoise = 0.2F;                   // share of features drawn at random
constexpr float kClusterShare = 0.3F;            // share drawn from the cluster's signature

// Points per text block: a block of about 1 MB is one task and one write.
constexpr std::uint64_t kPointsPerBlock = 1024;

// Zipf with exponent 1 by its inverse distribution function: P(rank < r) = ln r / ln n.
std::uint32_t zipf(float uniform, std::uint32_t n) {
    const double rank =
        std::exp(static_cast<double>(uniform) * std::log(static_cast<double>(n) + 1));
    return std::min(n - 1, static_cast<std::uint32_t>(rank) - 1);
}

// Signatures favour frequent features, but less than noise does: they have to tell labels apart.
std::uint32_t signature_feature(std::uint64_t owner, std::uint32_t index, std::uint32_t features) {
    const std::uint64_t bits = system::mix64(owner * 64 + index + 1);
    const double uniform = static_cast<double>(bits >> 11) * 0x1p-53;
    return static_cast<std::uint32_t>(uniform * uniform * features);
}

// About `mean`, from half to one and a half times it, at least 1.
std::uint32_t spread_count(std::uint32_t mean, system::Stream& stream) {
    return std::max(1U, mean / 2 + stream.below(mean + 1));
}

struct Point {
    std::vector<std::uint32_t> labels;
    std::vector<std::uint32_t> features;
};

void sort_unique(std::vector<std::uint32_t>& ids) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

// Points are short: a walk over what is there beats any set.
void add_distinct(std::vector<std::uint32_t>& ids, std::uint32_t id) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

// A word and words of its context: labels come from the word's own signature.
void draw_word(const SyntheticShape& shape, system::Stream& stream, Point& point) {
    const std::uint32_t word = zipf(stream.uniform(), shape.features);
    point.features.push_back(word);
    const std::uint32_t count = spread_count(shape.labels_per_point, stream);
    for (std::uint32_t i = 0; i < count; ++i) {
        const bool noise = stream.uniform() < kNoise;
        point.labels.push_back(
            noise ? zipf(stream.uniform(), shape.labels)
                  : signature_feature(word, stream.below(kLabelSignature), shape.labels));
    }
}

std::uint32_t draw_feature(const SyntheticShape& shape,
                           std::uint64_t cluster_owner,
                           const std::vector<std::uint32_t>& labels,
                           system::Stream& stream) {
    const float u = stream.uniform();
    if (u < kNoise) return zipf(stream.uniform(), shape.features);
    if (u < kNoise + kClusterShare) {
        return signature_feature(cluster_owner, stream.below(kClusterSignature), shape.features);
    }
    const std::uint32_t label = labels[stream.below(static_cast<std::uint32_t>(labels.size()))];
    return signature_feature(label, stream.below(kLabelSignature), shape.features);
}

void draw_document(const SyntheticShape& shape, system::Stream& stream, Point& point) {
    // Cluster c holds labels c, c + clusters, c + 2 clusters, ...: each has popular and rare
    // members.
    const std::uint32_t clusters = std::max(1U, shape.labels / kClusterSize);
    const std::uint32_t primary = zipf(stream.uniform(), shape.labels);
    const std::uint32_t cluster = primary % clusters;
    point.labels.push_back(primary);
    // Signatures and clusters are small: what repeats is drawn anew, but not for ever.
    const std::uint32_t label_count = spread_count(shape.labels_per_point, stream);
    for (std::uint32_t draws = 0; point.labels.size() < label_count && draws < 3 * label_count;
         ++draws) {
        const float u = stream.uniform();
        const auto member = static_cast<std::uint32_t>(u * u * kClusterSize);
        const std::uint64_t label = cluster + std::uint64_t{member} * clusters;
        if (label < shape.labels) add_distinct(point.labels, static_cast<std::uint32_t>(label));
    }
    const std::uint64_t cluster_owner = (std::uint64_t{1} << 40) + cluster;
    // Signatures overlap and are drawn from again and again: repeats are drawn anew, but not for
    // ever.
    const std::uint32_t feature_count = spread_count(shape.nnz, stream);
    for (std::uint32_t draws = 0;
         point.features.size() < feature_count && draws < 3 * feature_count;
         ++draws) {
        add_distinct(point.features, draw_feature(shape, cluster_owner, point.labels, stream));
    }
}

void append_point(const Point& point, system::Stream& stream, std::string& text) {
    for (std::size_t i = 0; i < point.labels.size(); ++i) {
        if (i > 0) text += ',';
        const fmt::format_int number(point.labels[i]);
        text.append(number.data(), number.size());
    }
    // Values as after tf-idf and normalisation: about 1 / sqrt(nnz), four digits.
    const float scale = 1.0F / std::sqrt(static_cast<float>(point.features.size()));
    for (const std::uint32_t feature : point.features) {
        text += ' ';
        const fmt::format_int number(feature);
        text.append(number.data(), number.size());
        const float value = (0.5F + stream.uniform()) * scale;
        const fmt::format_int digits(10'000 +
                                     std::min(9'999U, static_cast<unsigned>(value * 10'000)));
        text += ":0.";
        text.append(digits.data() + 1, digits.size() - 1);
    }
    text += '\n';
}

void write_points(system::Executor& executor,
                  const SyntheticShape& shape,
                  std::uint64_t seed,
                  std::uint64_t first,
                  std::uint64_t count,
                  const std::filesystem::path& name) {
    AtomicFile file(name);
    file.write(fmt::format("{} {} {}\n", count, shape.features, shape.labels));
    // A round of blocks is made in parallel and written in order.
    std::vector<std::string> blocks(4 * std::size_t{executor.threads()});
    const std::uint64_t block_count = (count + kPointsPerBlock - 1) / kPointsPerBlock;
    for (std::uint64_t round = 0; round < block_count; round += blocks.size()) {
        const std::size_t now = std::min<std::uint64_t>(blocks.size(), block_count - round);
        executor.for_each(now, [&](std::size_t i, system::Worker) {
            const std::uint64_t begin = (round + i) * kPointsPerBlock;
            blocks[i].clear();
            append_synthetic_points(
                shape, seed, first + begin, std::min(kPointsPerBlock, count - begin), blocks[i]);
        });
        for (std::size_t i = 0; i < now; ++i) file.write(blocks[i]);
    }
    file.commit();
}

}  // namespace

std::span<const SyntheticShape> synthetic_shapes() noexcept {
    static constexpr std::array<SyntheticShape, 4> kShapes = {{
        {"amazon-670k", 135'909, 670'091, 490'449, 153'025, 75, 5},
        {"delicious-200k", 782'585, 205'443, 196'606, 100'095, 297, 75},
        {"wiki-325k", 1'617'899, 325'056, 1'778'351, 587'084, 42, 3},
        {"text8", 253'855, 253'855, 13'604'165, 3'401'042, 1, 4},
    }};
    return kShapes;
}

void append_synthetic_points(const SyntheticShape& shape,
                             std::uint64_t seed,
                             std::uint64_t first,
                             std::uint64_t count,
                             std::string& text) {
    Point point;
    for (std::uint64_t i = first; i < first + count; ++i) {
        system::Stream stream(seed, system::Purpose::synthetic, i);
        point.labels.clear();
        point.features.clear();
        if (shape.nnz == 1) {
            draw_word(shape, stream, point);
        } else {
            draw_document(shape, stream, point);
        }
        sort_unique(point.labels);
        sort_unique(point.features);
        append_point(point, stream, text);
    }
}

void write_synthetic(system::Executor& executor,
                     const SyntheticShape& shape,
                     std::uint64_t seed,
                     const std::filesystem::path& folder) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) {
        throw Error(ErrorCode::output,
                    folder.string(),
                    "the folder cannot be made (" + error.message() + "); choose another");
    }
    write_points(executor, shape, seed, 0, shape.train_points, folder / "train.txt");
    write_points(executor, shape, seed, shape.train_points, shape.test_points, folder / "test.txt");
}

}  // namespace slidekit::data
