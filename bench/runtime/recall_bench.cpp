// Retrieval schemes on a trained layer: what each finds, and what it costs.
//
// A program, not a Google Benchmark: recall needs a model that has learnt something. Every scheme
// is a space (what is hashed of rows and queries), a set of directions whose projections make the
// codes, and a way to probe; one walk serves them all, so that only the functions differ. Cells of
// k-means (IVF) are buckets of one table. Lists are uncut: a bucket cap is a matter of the tables.
// Schemes take turns, so that a busy machine slows all alike: NAME-PART says which ones.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dedup.hpp>
#include <slidekit/kernels/dense.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>
#include <slidekit/train/model_file.hpp>
#include <slidekit/train/trainer.hpp>

namespace {

namespace kernels = slidekit::kernels;
namespace lsh = slidekit::lsh;
namespace sys = slidekit::system;
using kernels::RowMatrix;

constexpr std::size_t kTop = 200;

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Matrix {
    Matrix() = default;
    Matrix(std::size_t rows, std::size_t dim)
        : view{nullptr, rows, dim, (dim + 15) / 16 * 16}, values(rows * view.stride) {
        view.data = values.data();
    }
    Matrix(Matrix&&) = default;
    Matrix& operator=(Matrix&&) = default;
    float* row(std::size_t i) { return view.row(i); }
    [[nodiscard]] const float* row(std::size_t i) const { return view.row(i); }

    RowMatrix<float> view;
    std::vector<float> values;
};

std::vector<float> mean_of(const Matrix& m) {
    std::vector<float> mean(m.view.dim);
    for (std::size_t i = 0; i < m.view.rows; ++i)
        kernels::axpy(1.0F / static_cast<float>(m.view.rows), m.row(i), mean.data(), m.view.dim);
    return mean;
}

// c = a * b', rows of a in blocks that fit the cache.
void products(RowMatrix<const float> a, const Matrix& b_transposed, RowMatrix<float> c) {
    constexpr std::size_t kBlock = 64;
    for (std::size_t begin = 0; begin < a.rows; begin += kBlock) {
        const std::size_t rows = std::min(kBlock, a.rows - begin);
        for (std::size_t r = 0; r < rows; ++r) std::fill_n(c.row(begin + r), c.dim, 0.0F);
        kernels::multiply_add({a.row(begin), rows, a.dim, a.stride, 1},
                              b_transposed.view,
                              {c.row(begin), rows, c.dim, c.stride});
    }
}

// ---- the layer ----

struct Layer {
    Matrix rows;  // of the labels that occur in training
    Matrix queries;
    std::vector<float> bias;
    RowMatrix<std::int8_t> copies;
    std::vector<std::int8_t> copy_bytes;
    std::vector<float> steps;
    std::vector<std::vector<std::uint32_t>> top;  // ascending
    std::vector<std::uint32_t> best;
    std::vector<std::vector<std::uint32_t>> labels;
};

Layer load(const std::string& model,
           const std::string& train,
           const std::string& test,
           std::size_t count) {
    sys::Runtime runtime({.threads = 1});
    const slidekit::nn::Network network = slidekit::train::load_model(runtime, model);
    const auto met = slidekit::train::met_labels(slidekit::data::load_dataset(train).view());
    const auto data = slidekit::data::load_dataset(test);
    const auto& points = data.view();
    Layer layer;
    const std::size_t dim = network.output().dim();
    layer.rows = Matrix(met.size(), dim);
    for (std::size_t i = 0; i < met.size(); ++i) {
        std::copy_n(network.output().weights().row(met[i]), dim, layer.rows.row(i));
        layer.bias.push_back(network.output().bias()[met[i]]);
    }
    layer.queries = Matrix(count, dim);
    layer.labels.resize(count);
    for (std::size_t q = 0; q < count; ++q) {
        const std::size_t point = q * points.points / count;
        float* out = layer.queries.row(q);
        std::copy(network.hidden_bias().begin(), network.hidden_bias().end(), out);
        for (auto j = points.feature_offsets[point]; j < points.feature_offsets[point + 1]; ++j)
            kernels::axpy(points.feature_values[j],
                          network.input().weights().row(points.feature_ids[j]),
                          out,
                          dim);
        kernels::relu(out, dim);
        for (const std::uint32_t label : points.labels_of(point)) {
            const auto at = std::lower_bound(met.begin(), met.end(), label);
            if (at != met.end() && *at == label)
                layer.labels[q].push_back(static_cast<std::uint32_t>(at - met.begin()));
        }
    }
    const std::size_t stride = (dim + 63) / 64 * 64;
    layer.copy_bytes.resize(met.size() * stride);
    layer.copies = {layer.copy_bytes.data(), met.size(), dim, stride};
    for (std::size_t i = 0; i < met.size(); ++i)
        layer.steps.push_back(kernels::quantize_i8(layer.rows.row(i), dim, layer.copies.row(i)));
    std::vector<std::uint32_t> all(met.size());
    std::iota(all.begin(), all.end(), 0U);
    std::vector<float> scores(met.size());
    const double begin = now();
    for (std::size_t q = 0; q < count; ++q) {
        kernels::dot_rows(
            layer.queries.row(q), layer.rows.view, all.data(), all.size(), scores.data());
        kernels::axpy(1, layer.bias.data(), scores.data(), scores.size());
        layer.top.emplace_back(kTop);
        kernels::select_top_k(scores.data(), scores.size(), kTop, layer.top.back().data());
        layer.best.push_back(static_cast<std::uint32_t>(
            std::max_element(scores.begin(), scores.end()) - scores.begin()));
    }
    std::printf("%zu rows, %zu queries; exact, fp32, a query at a time: %.0f us\n",
                met.size(),
                count,
                (now() - begin) * 1e6 / static_cast<double>(count));
    return layer;
}

// ---- spaces ----

enum class Centring { none, rows, queries, both };
enum class Norms { as_they_are, simple_lsh, sign_alsh };

struct SpaceConfig {
    Centring centring = Centring::both;
    float bias = 0;  // weight of the bias as a coordinate; 0: left out
    Norms norms = Norms::as_they_are;
    float rescale =
        0;  // coordinates times (deviation of queries / of rows)^whiten; queries over it
};

struct Space {
    Matrix rows;
    Matrix queries;
};

std::vector<float> deviation_of(const Matrix& m, const std::vector<float>& mean) {
    std::vector<float> deviation(mean.size());
    for (std::size_t i = 0; i < m.view.rows; ++i)
        for (std::size_t c = 0; c < mean.size(); ++c)
            deviation[c] += (m.row(i)[c] - mean[c]) * (m.row(i)[c] - mean[c]);
    for (float& d : deviation) d = std::sqrt(d / static_cast<float>(m.view.rows)) + 1e-9F;
    return deviation;
}

Space space_of(const Layer& layer, const SpaceConfig& config) {
    const std::size_t dim = layer.rows.view.dim;
    const std::vector<float> row_mean = mean_of(layer.rows);
    const std::vector<float> query_mean = mean_of(layer.queries);
    const bool rows_centred =
        config.centring == Centring::rows || config.centring == Centring::both;
    const bool queries_centred =
        config.centring == Centring::queries || config.centring == Centring::both;
    const std::size_t of_bias = config.bias > 0 ? 1 : 0;
    const std::size_t extra = of_bias + static_cast<std::size_t>(config.norms);
    Space space{Matrix(layer.rows.view.rows, dim + extra),
                Matrix(layer.queries.view.rows, dim + extra)};
    const std::vector<float> row_deviation = deviation_of(layer.rows, row_mean);
    const std::vector<float> query_deviation = deviation_of(layer.queries, query_mean);
    std::vector<float> scale(dim);
    for (std::size_t c = 0; c < dim; ++c)
        scale[c] = std::pow(query_deviation[c] / row_deviation[c], config.rescale);
    std::vector<float> offset(layer.bias);  // of a logit, beside the product of what is hashed
    for (std::size_t i = 0; i < offset.size(); ++i) {
        if (queries_centred) offset[i] += kernels::dot(layer.rows.row(i), query_mean.data(), dim);
    }
    const float mean_offset =
        std::accumulate(offset.begin(), offset.end(), 0.0F) / static_cast<float>(offset.size());
    for (std::size_t i = 0; i < layer.rows.view.rows; ++i) {
        float* out = space.rows.row(i);
        for (std::size_t c = 0; c < dim; ++c)
            out[c] = (layer.rows.row(i)[c] - (rows_centred ? row_mean[c] : 0)) * scale[c];
        if (config.bias > 0) out[dim] = (offset[i] - mean_offset) / config.bias;
    }
    for (std::size_t q = 0; q < layer.queries.view.rows; ++q) {
        float* out = space.queries.row(q);
        for (std::size_t c = 0; c < dim; ++c)
            out[c] = (layer.queries.row(q)[c] - (queries_centred ? query_mean[c] : 0)) / scale[c];
        if (config.bias > 0) out[dim] = config.bias;
    }
    if (config.norms == Norms::as_they_are) return space;
    const auto norm2 = [&](const float* x) { return kernels::dot(x, x, dim + extra); };
    float most = 0;
    for (std::size_t i = 0; i < layer.rows.view.rows; ++i)
        most = std::max(most, norm2(space.rows.row(i)));
    for (std::size_t i = 0; i < layer.rows.view.rows; ++i) {
        const float own = norm2(space.rows.row(i));
        float* const row = space.rows.row(i);
        if (config.norms == Norms::simple_lsh) {
            row[dim + extra - 1] = std::sqrt(std::max(0.0F, most - own));
        } else {  // Shrivastava and Li 2015, with the m = 2 and U = .75 that they recommend
            const float norm2_scaled = own / most * .75F * .75F;
            kernels::scale(.75F / std::sqrt(most), row, dim + of_bias);
            row[dim + of_bias] = .5F - norm2_scaled;
            row[dim + of_bias + 1] = .5F - norm2_scaled * norm2_scaled;
        }
    }
    return space;
}

// ---- schemes ----

enum class Code { sign, median, cross_polytope, cell };
enum class Fit { none, pca, itq };

struct Scheme {
    std::string name;
    SpaceConfig space = {};
    std::uint32_t k = 12;  // codes a table
    std::uint32_t l = 50;
    std::uint32_t probes = 1;  // buckets a table
    Code code = Code::sign;
    std::uint32_t width = 1;  // projections of a code (cross-polytope)
    std::uint16_t least = 1;  // tables that a candidate has to be met in
    bool sparse = false;
    Fit fit = Fit::none;                      // of the directions to the rows
    std::uint32_t leading = 0;                // principal directions that a fit may use
    const lsh::HashConfig* family = nullptr;  // the product's functions in place of projections
};

// Directions as columns.
Matrix draw_directions(std::size_t dim, std::size_t count, bool sparse) {
    Matrix directions(dim, count);
    for (std::size_t b = 0; b < count; ++b) {
        sys::Stream stream(7, sys::Purpose::hash_functions, b);
        for (std::size_t c = 0; c < dim; ++c) {
            if (!sparse)
                directions.row(c)[b] = stream.normal();
            else if (stream.below(3) == 0)
                directions.row(c)[b] = stream.below(2) == 0 ? 1.F : -1.F;
        }
    }
    return directions;
}

// ---- functions fitted to the rows ----

using Dense = Eigen::MatrixXf;

// Principal directions as columns, the widest first; `rows` gets its mean taken off.
Dense principal_directions(Dense& rows, std::uint32_t count) {
    rows.rowwise() -= rows.colwise().mean().eval();
    const Eigen::SelfAdjointEigenSolver<Dense> solver(rows.transpose() * rows);
    return solver.eigenvectors().rightCols(count).rowwise().reverse();
}

// The first `count` columns of a random rotation.
Dense draw_rotation(sys::Stream& stream, std::uint32_t dim, std::uint32_t count) {
    const Dense draws = Dense::NullaryExpr(dim, count, [&] { return stream.normal(); });
    const Eigen::HouseholderQR<Dense> qr(draws);
    return qr.householderQ() * Dense::Identity(dim, count);
}

// Gong and Lazebnik 2011: a rotation for which the projected rows are near to their signs.
Dense learn_rotation(const Dense& projected, Dense rotation) {
    constexpr int kAlternations = 20;
    for (int i = 0; i < kAlternations; ++i) {
        const Dense signs =
            (projected * rotation).unaryExpr([](float x) { return x > 0 ? 1.F : -1.F; });
        const Eigen::JacobiSVD<Dense> svd(signs.transpose() * projected,
                                          Eigen::ComputeFullU | Eigen::ComputeFullV);
        rotation = svd.matrixV() * svd.matrixU().transpose();
    }
    return rotation;
}

// For each table either k columns of a random rotation of the leading directions, or k of these
// drawn at random and rotated by ITQ from a random start.
Matrix fit_directions(const Matrix& rows, const Scheme& scheme) {
    constexpr Eigen::Index kSample = 8192;
    const Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>,
                     0,
                     Eigen::OuterStride<>>
        view(rows.view.data,
             static_cast<Eigen::Index>(rows.view.rows),
             static_cast<Eigen::Index>(rows.view.dim),
             Eigen::OuterStride<>(static_cast<Eigen::Index>(rows.view.stride)));
    Dense centred = view;
    const Dense leading = principal_directions(centred, scheme.leading);
    const Eigen::Index sample = std::min<Eigen::Index>(kSample, centred.rows());
    const Dense some = centred(Eigen::seqN(0, sample, centred.rows() / sample), Eigen::all);
    Matrix directions(rows.view.dim, std::size_t{scheme.k} * scheme.l);
    std::vector<Eigen::Index> chosen(scheme.leading);
    for (std::uint32_t t = 0; t < scheme.l; ++t) {
        sys::Stream stream(8, sys::Purpose::hash_functions, t);
        Dense own;
        if (scheme.fit == Fit::pca) {
            own = leading * draw_rotation(stream, scheme.leading, scheme.k);
        } else {
            std::iota(chosen.begin(), chosen.end(), Eigen::Index{0});
            for (std::uint32_t j = 0; j < scheme.k; ++j)
                std::swap(chosen[j], chosen[j + stream.below(scheme.leading - j)]);
            own = leading(Eigen::all,
                          Eigen::Map<Eigen::ArrayX<Eigen::Index>>(chosen.data(), scheme.k));
            own *= learn_rotation(some * own, draw_rotation(stream, scheme.k, scheme.k));
        }
        for (std::size_t c = 0; c < rows.view.dim; ++c)
            for (std::uint32_t j = 0; j < scheme.k; ++j)
                directions.row(c)[t * scheme.k + j] = own(static_cast<Eigen::Index>(c), j);
    }
    return directions;
}

// Centroids of k-means as columns (Lloyd's iteration over a sample), and half their squared norms:
// the nearest centroid has the largest product less that half.
struct Cells {
    Cells(const Matrix& rows, std::size_t count)
        : centroids(rows.view.dim, count), half_norms(count) {
        constexpr int kIterations = 8;
        const std::size_t sample = std::min(rows.view.rows, 20 * count);
        const std::size_t dim = rows.view.dim;
        Matrix some(sample, dim);
        for (std::size_t i = 0; i < sample; ++i)
            std::copy_n(rows.row(i * rows.view.rows / sample), dim, some.row(i));
        Matrix means(count, dim);
        for (std::size_t cell = 0; cell < count; ++cell)
            std::copy_n(some.row(cell * sample / count), dim, means.row(cell));
        std::vector<std::uint32_t> owner(sample);
        for (int i = 0; i < kIterations; ++i) {
            for (std::size_t cell = 0; cell < count; ++cell) {
                half_norms[cell] = kernels::dot(means.row(cell), means.row(cell), dim) / 2;
                for (std::size_t c = 0; c < dim; ++c) centroids.row(c)[cell] = means.row(cell)[c];
            }
            assign(some, owner.data());
            std::vector<std::uint32_t> sizes(count);
            for (const std::uint32_t cell : owner) ++sizes[cell];
            for (std::size_t cell = 0; cell < count; ++cell)  // an empty one stays where it is
                if (sizes[cell] > 0) std::fill_n(means.row(cell), dim, 0.F);
            for (std::size_t r = 0; r < sample; ++r)
                kernels::axpy(1.F / static_cast<float>(sizes[owner[r]]),
                              some.row(r),
                              means.row(owner[r]),
                              dim);
        }
    }

    void assign(const Matrix& rows, std::uint32_t* owner) const {
        Matrix block(256, half_norms.size());
        for (std::size_t i = 0; i < rows.view.rows; i += 256) {
            const std::size_t count = std::min<std::size_t>(256, rows.view.rows - i);
            products({rows.row(i), count, rows.view.dim, rows.view.stride}, centroids, block.view);
            for (std::size_t r = 0; r < count; ++r) {
                kernels::axpy(-1, half_norms.data(), block.row(r), half_norms.size());
                kernels::select_top_k(block.row(r), half_norms.size(), 1, owner + i + r);
            }
        }
    }

    Matrix centroids;
    std::vector<float> half_norms;
};

struct Probe {
    std::uint32_t table;
    std::uint32_t key;
};

class Index {
public:
    Index(const Space& space, const Scheme& scheme, sys::Runtime& runtime)
        : scheme_(scheme),
          bits_(scheme.family != nullptr ? lsh::key_bits(*scheme.family) : key_bits()),
          tables_(runtime,
                  {.tables = scheme.l,
                   .key_bits = bits_,
                   .capacity = static_cast<std::uint32_t>(space.rows.view.rows),
                   .bucket_cap = 0}) {
        const double begin = now();
        const std::size_t n = space.rows.view.rows;
        std::vector<std::uint32_t> keys(n * scheme.l);
        if (scheme.family != nullptr) {
            family_.emplace_back(*scheme.family, static_cast<std::uint32_t>(space.rows.view.dim));
            scratch_.resize(family_[0].scratch_floats());
            family_[0].hash_rows(space.rows.view,
                                 nullptr,
                                 keys.data(),
                                 {.row_stride = 1, .table_stride = n},
                                 scratch_.data());
        } else if (scheme.code == Code::cell) {
            Cells cells(space.rows, std::size_t{1} << scheme.k);
            cells.assign(space.rows, keys.data());
            directions_ = std::move(cells.centroids);
        } else {
            directions_ = scheme.fit != Fit::none
                              ? fit_directions(space.rows, scheme)
                              : draw_directions(space.rows.view.dim,
                                                std::size_t{scheme.k} * scheme.width * scheme.l,
                                                scheme.sparse);
            if (scheme.code == Code::median) {
                row_thresholds_ = medians(space.rows, 4096);
                query_thresholds_ = medians(space.queries, space.queries.view.rows);
            }
            Matrix block(256, directions_.view.dim);
            for (std::size_t i = 0; i < n; i += 256) {
                const std::size_t rows = std::min<std::size_t>(256, n - i);
                products({space.rows.row(i), rows, space.rows.view.dim, space.rows.view.stride},
                         directions_,
                         block.view);
                for (std::size_t r = 0; r < rows; ++r)
                    for (std::uint32_t t = 0; t < scheme.l; ++t)
                        keys[t * n + i + r] = key_of(block.row(r), t, row_thresholds_);
            }
        }
        std::vector<std::uint32_t> ids(n);
        std::iota(ids.begin(), ids.end(), 0U);
        tables_.rebuild(runtime.executor(), ids, keys.data(), n, 0);
        seconds = now() - begin;
    }

    // All queries at once, as a batch is hashed in training.
    std::vector<Probe> probes_of(const Matrix& queries) {
        std::vector<Probe> probes;
        const std::size_t m = queries.view.rows;
        const double begin = now();
        if (!family_.empty()) {
            std::vector<std::uint32_t> keys(m * scheme_.l);
            family_[0].hash_rows(queries.view,
                                 nullptr,
                                 keys.data(),
                                 {.row_stride = scheme_.l, .table_stride = 1},
                                 scratch_.data());
            for (std::size_t i = 0; i < keys.size(); ++i)
                probes.push_back({static_cast<std::uint32_t>(i % scheme_.l), keys[i]});
        } else {
            Matrix values(m, directions_.view.dim);
            products(queries.view, directions_, values.view);
            for (std::size_t q = 0; q < m; ++q)
                for (std::uint32_t t = 0; t < scheme_.l; ++t) add_probes(values.row(q), t, probes);
        }
        hash_us = (now() - begin) * 1e6 / static_cast<double>(m);
        return probes;
    }

    [[nodiscard]] const lsh::Tables& tables() const { return tables_; }
    [[nodiscard]] double bytes() const {
        return static_cast<double>(lsh::Tables::bytes(tables_.config()));
    }
    double seconds = 0;
    double hash_us = 0;

private:
    [[nodiscard]] std::uint32_t key_bits() const {
        std::uint32_t code = 1;
        if (scheme_.code == Code::cross_polytope)
            while ((1U << code) < 2 * scheme_.width) ++code;
        return code * scheme_.k;
    }

    std::vector<float> medians(const Matrix& m, std::size_t sample) {
        Matrix some(sample, m.view.dim);
        for (std::size_t i = 0; i < sample; ++i)
            std::copy_n(m.row(i * m.view.rows / sample), m.view.dim, some.row(i));
        Matrix values(sample, directions_.view.dim);
        products(some.view, directions_, values.view);
        std::vector<float> result;
        std::vector<float> column(sample);
        for (std::size_t b = 0; b < directions_.view.dim; ++b) {
            for (std::size_t i = 0; i < sample; ++i) column[i] = values.row(i)[b];
            std::nth_element(
                column.begin(), column.begin() + static_cast<long>(sample / 2), column.end());
            result.push_back(column[sample / 2]);
        }
        return result;
    }

    [[nodiscard]] std::uint32_t key_of(const float* values,
                                       std::uint32_t t,
                                       const std::vector<float>& thresholds) const {
        std::uint32_t key = 0;
        for (std::uint32_t j = 0; j < scheme_.k; ++j) {
            const std::size_t b = (std::size_t{t} * scheme_.k + j) * scheme_.width;
            if (scheme_.code == Code::cross_polytope) {
                std::uint32_t best = 0;
                for (std::uint32_t c = 1; c < scheme_.width; ++c)
                    if (std::fabs(values[b + c]) > std::fabs(values[b + best])) best = c;
                key = key * 2 * scheme_.width + 2 * best + (values[b + best] > 0 ? 1 : 0);
            } else {
                key = 2 * key + (values[b] > (thresholds.empty() ? 0 : thresholds[b]) ? 1 : 0);
            }
        }
        return key;
    }

    // Flips of the bits nearest to zero, cheapest sets first (Lv et al. 2007), over the four
    // nearest.
    void add_probes(const float* values, std::uint32_t t, std::vector<Probe>& probes) const {
        if (scheme_.code == Code::cell) {
            std::uint32_t best[256];
            kernels::select_top_k(values, directions_.view.dim, scheme_.probes, best);
            for (std::uint32_t p = 0; p < scheme_.probes; ++p) probes.push_back({t, best[p]});
            return;
        }
        const std::uint32_t key = key_of(values, t, query_thresholds_);
        probes.push_back({t, key});
        if (scheme_.probes == 1) return;
        constexpr std::uint32_t kNearest = 4;
        std::pair<float, std::uint32_t> order[24];
        for (std::uint32_t j = 0; j < scheme_.k; ++j) {
            const std::size_t b = std::size_t{t} * scheme_.k + j;
            const float d = values[b] - (query_thresholds_.empty() ? 0 : query_thresholds_[b]);
            order[j] = {d * d, 1U << (scheme_.k - 1 - j)};
        }
        std::partial_sort(order, order + kNearest, order + scheme_.k);
        std::pair<float, std::uint32_t> sets[15];
        for (std::uint32_t s = 1; s < 16; ++s) {
            sets[s - 1] = {0, 0};
            for (std::uint32_t j = 0; j < kNearest; ++j)
                if ((s >> j & 1) != 0) {
                    sets[s - 1].first += order[j].first;
                    sets[s - 1].second |= order[j].second;
                }
        }
        std::partial_sort(sets, sets + scheme_.probes - 1, sets + 15);
        for (std::uint32_t p = 1; p < scheme_.probes; ++p)
            probes.push_back({t, key ^ sets[p - 1].second});
    }

    const Scheme& scheme_;
    std::uint32_t bits_;
    lsh::Tables tables_;
    std::vector<lsh::Family> family_;
    std::vector<float> scratch_;
    Matrix directions_;
    std::vector<float> row_thresholds_;
    std::vector<float> query_thresholds_;
};

// ---- measuring ----

struct Walker {
    explicit Walker(std::size_t n) : stamps(n), ids(1), counts(1) {}

    std::size_t collect(const lsh::Tables& tables, std::span<const Probe> probes, bool counting) {
        constexpr std::size_t kIdsPerLine = 16;
        buckets.clear();
        std::size_t total = 0;
        for (const Probe& probe : probes) {
            const auto bucket = tables.bucket(probe.table, probe.key);
            buckets.push_back({bucket.data(), bucket.size()});
            for (std::size_t i = 0; i < bucket.size(); i += kIdsPerLine)
                __builtin_prefetch(bucket.data() + i);
            total += bucket.size();
        }
        if (ids.size() < total) ids.resize(total);
        if (counts.size() < total) counts.resize(total);
        const auto most = static_cast<std::uint32_t>(probes.size());
        if (last + most > 65535) {
            std::fill(stamps.begin(), stamps.end(), std::uint16_t{0});
            last = 0;
        }
        const auto base = static_cast<std::uint16_t>(last);
        last += counting ? most : 1;
        const kernels::BucketsView view{buckets.data(), buckets.size(), total};
        return counting ? kernels::count_buckets(
                              view, base, stamps.data(), stamps.size(), ids.data(), counts.data())
                        : kernels::dedup_buckets(view,
                                                 static_cast<std::uint16_t>(last),
                                                 stamps.data(),
                                                 stamps.size(),
                                                 ids.data());
    }

    std::vector<std::uint16_t> stamps;
    std::vector<std::uint32_t> ids;
    std::vector<std::uint16_t> counts;
    std::vector<kernels::Bucket> buckets;
    std::uint32_t last = 0;
};

struct Contender {
    Contender(const Scheme& of, Space space, sys::Runtime& runtime)
        : scheme(of), queries(std::move(space.queries)), index(space, of, runtime) {}

    const Scheme& scheme;
    Matrix queries;
    Index index;
    std::vector<double> hash, walk, rank, all;  // us a query, one a round
    double met = 0, found_top = 0, kept_top = 0, found_labels = 0, found_best = 0;
};

void count_recall(const Layer& layer,
                  std::size_t q,
                  std::vector<std::uint32_t> found,
                  std::span<const std::uint32_t> chosen,
                  Contender& c) {
    c.met += static_cast<double>(found.size());
    for (const std::uint32_t at : chosen)
        c.kept_top += std::binary_search(layer.top[q].begin(), layer.top[q].end(), found[at]);
    std::sort(found.begin(), found.end());
    const auto has = [&](std::uint32_t id) {
        return std::binary_search(found.begin(), found.end(), id);
    };
    for (const std::uint32_t id : layer.top[q]) c.found_top += has(id);
    for (const std::uint32_t id : layer.labels[q]) c.found_labels += has(id);
    c.found_best += has(layer.best[q]);
}

// One round of one scheme: hash of all queries, then walk and rank of each.
void run_round(const Layer& layer, Walker& walker, Contender& c, bool warm_up) {
    const Scheme& scheme = c.scheme;
    const std::vector<Probe> probes = c.index.probes_of(c.queries);
    const std::size_t queries = layer.queries.view.rows;
    const std::size_t each = probes.size() / queries;
    const std::size_t dim = layer.rows.view.dim;
    std::vector<std::uint8_t> quantized(dim);
    std::vector<std::int32_t> dots(layer.rows.view.rows);
    std::vector<float> scores(layer.rows.view.rows);
    std::vector<std::uint32_t> chosen(kTop);
    double walk_seconds = 0, rank_seconds = 0;
    for (std::size_t q = 0; q < queries; ++q) {
        const double begin = now();
        std::size_t count = walker.collect(
            c.index.tables(), std::span(probes).subspan(q * each, each), scheme.least > 1);
        if (scheme.least > 1) {
            std::size_t kept = 0;
            for (std::size_t i = 0; i < count; ++i) {
                walker.ids[kept] = walker.ids[i];
                kept += walker.counts[i] >= scheme.least ? 1U : 0U;
            }
            count = kept;
        }
        const double walked = now();
        const float step = kernels::quantize_u7(layer.queries.row(q), dim, quantized.data());
        kernels::dot_rows_i8(quantized.data(),
                             RowMatrix<const std::int8_t>(layer.copies),
                             walker.ids.data(),
                             count,
                             dots.data());
        for (std::size_t i = 0; i < count; ++i)
            scores[i] = static_cast<float>(dots[i]) * (step * layer.steps[walker.ids[i]]) +
                        layer.bias[walker.ids[i]];
        const std::size_t kept = kernels::select_top_k(scores.data(), count, kTop, chosen.data());
        walk_seconds += walked - begin;
        rank_seconds += now() - walked;
        if (warm_up)
            count_recall(layer,
                         q,
                         {walker.ids.begin(), walker.ids.begin() + static_cast<long>(count)},
                         std::span(chosen).first(kept),
                         c);
    }
    if (warm_up) return;
    const double us = 1e6 / static_cast<double>(queries);
    c.hash.push_back(c.index.hash_us);
    c.walk.push_back(walk_seconds * us);
    c.rank.push_back(rank_seconds * us);
    c.all.push_back(c.index.hash_us + (walk_seconds + rank_seconds) * us);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void print(const Layer& layer, const Contender& c) {
    const auto n = static_cast<double>(layer.queries.view.rows);
    double all_labels = 0;
    for (const auto& labels : layer.labels) all_labels += static_cast<double>(labels.size());
    const double us = median(c.all);
    std::printf(
        "%-44s %6.0f %6.1f %6.1f %6.1f %6.1f | %5.1f %5.1f %5.1f %6.1f %9.2f | %6.2f %6.0f\n",
        c.scheme.name.c_str(),
        c.met / n,
        100 * c.found_top / n / kTop,
        100 * c.kept_top / n / kTop,
        100 * c.found_labels / all_labels,
        100 * c.found_best / n,
        median(c.hash),
        median(c.walk),
        median(c.rank),
        us,
        1e3 * c.found_labels / n / us,
        c.index.seconds,
        c.index.bytes() / 1e6);
}

std::vector<Scheme> schemes() {
    std::vector<Scheme> all;
    const auto add = [&](const Scheme& scheme) { all.push_back(scheme); };
    add({.name = "simhash 12x50, centred"});
    add({.name = "simhash 12x50, centred, sparse", .sparse = true});
    add({.name = "simhash 12x50, not centred", .space = {.centring = Centring::none}});
    add({.name = "simhash 12x50, rows centred", .space = {.centring = Centring::rows}});
    add({.name = "simhash 12x50, queries centred", .space = {.centring = Centring::queries}});
    for (const float weight : {0.3F, 1.0F, 3.0F})
        add({.name = "simhash 12x50, bias coordinate x " + std::to_string(weight).substr(0, 4),
             .space = {.bias = weight}});
    add({.name = "simhash 12x50, Simple-LSH", .space = {.norms = Norms::simple_lsh}});
    for (const float power : {-0.5F, -0.25F, 0.25F, 0.5F, 1.0F})
        add({.name = "simhash 12x50, scaled ^ " + std::to_string(power).substr(0, 5),
             .space = {.rescale = power}});
    add({.name = "simhash 12x50, Sign-ALSH", .space = {.norms = Norms::sign_alsh}});
    add({.name = "simhash 12x50, Sign-ALSH, not centred",
         .space = {.centring = Centring::none, .norms = Norms::sign_alsh}});
    add({.name = "simhash 12x50, medians", .code = Code::median});
    for (const std::uint32_t leading : {16U, 32U, 64U, 96U, 128U}) {
        const std::string of = " of " + std::to_string(leading);
        add({.name = "pca 12x50" + of, .fit = Fit::pca, .leading = leading});
        add({.name = "itq 12x50" + of, .fit = Fit::itq, .leading = leading});
    }
    for (const auto& [name, space] :
         {std::pair<const char*, SpaceConfig>{"centred", {}},
          {"centred, bias", {.bias = 1}},
          {"not centred", {.centring = Centring::none}},
          {"not centred, bias", {.centring = Centring::none, .bias = 1}}})
        for (const auto& [bits, probes] :
             {std::pair{10U, 8U}, {10U, 16U}, {10U, 32U}, {12U, 32U}, {12U, 64U}, {12U, 128U}})
            add({.name = "ivf " + std::to_string(probes) + " of " + std::to_string(1U << bits) +
                         ", " + name,
                 .space = space,
                 .k = bits,
                 .l = 1,
                 .probes = probes,
                 .code = Code::cell});
    for (const std::uint32_t k : {10U, 11U, 13U, 14U, 15U, 16U})
        for (const std::uint32_t l : {25U, 50U, 100U, 200U})
            add({.name = "simhash " + std::to_string(k) + "x" + std::to_string(l), .k = k, .l = l});
    for (const std::uint32_t k : {12U, 13U, 14U, 15U, 16U})
        for (const std::uint32_t l : {12U, 25U, 50U})
            for (const std::uint32_t probes : {2U, 4U, 8U})
                add({.name = "simhash " + std::to_string(k) + "x" + std::to_string(l) + ", " +
                             std::to_string(probes) + " probes",
                     .k = k,
                     .l = l,
                     .probes = probes});
    for (const std::uint32_t k : {9U, 10U, 11U, 12U})
        for (const std::uint16_t least : {std::uint16_t{2}, std::uint16_t{3}, std::uint16_t{4}})
            add({.name = "simhash " + std::to_string(k) + "x50, met in " + std::to_string(least),
                 .k = k,
                 .least = least});
    for (const std::uint32_t l : {25U, 50U, 100U}) {
        add({.name = "cross-polytope 2 of 32 x" + std::to_string(l),
             .k = 2,
             .l = l,
             .code = Code::cross_polytope,
             .width = 32});
        add({.name = "cross-polytope 2 of 64 x" + std::to_string(l),
             .k = 2,
             .l = l,
             .code = Code::cross_polytope,
             .width = 64});
        add({.name = "cross-polytope 3 of 8 x" + std::to_string(l),
             .k = 3,
             .l = l,
             .code = Code::cross_polytope,
             .width = 8});
    }
    using lsh::HashFamily;
    static const std::pair<const char*, lsh::HashConfig> kFamilies[] = {
        {"simhash 12x50", {.family = HashFamily::simhash, .k = 12}},
        {"hadamard 12x50", {.family = HashFamily::hadamard, .k = 12}},
        {"dwta 4x50", {.family = HashFamily::dwta, .k = 4}},
        {"wta 4x50", {.family = HashFamily::wta, .k = 4}},
        {"doph 2x50", {.family = HashFamily::doph, .k = 2}},
        {"pstable 4x50", {.family = HashFamily::pstable, .k = 4}},
    };
    for (const auto& [name, config] : kFamilies)
        for (const Centring centring : {Centring::both, Centring::none})
            add({.name = std::string("family ") + name +
                         (centring == Centring::both ? ", centred" : ", not centred"),
                 .space = {.centring = centring},
                 .family = &config});
    return all;
}

int run(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: recall_bench MODEL TRAIN TEST [NAME-PART]\n");
        return 2;
    }
    constexpr int kRounds = 9;  // after one that warms up, and counts what is found
    const Layer layer = load(argv[1], argv[2], argv[3], 512);
    sys::Runtime runtime({.threads = 1});
    const std::vector<Scheme> all = schemes();
    std::deque<Contender> contenders;
    for (const Scheme& scheme : all)
        if (argc < 5 || scheme.name.find(argv[4]) != std::string::npos)
            contenders.emplace_back(scheme, space_of(layer, scheme.space), runtime);
    Walker walker(layer.rows.view.rows);
    for (int round = 0; round <= kRounds; ++round)
        for (Contender& contender : contenders) run_round(layer, walker, contender, round == 0);
    std::printf("%-44s %6s %6s %6s %6s %6s | %5s %5s %5s %6s %9s | %6s %6s\n",
                "scheme",
                "cands",
                "top200",
                "ranked",
                "labels",
                "top1",
                "hash",
                "walk",
                "rank",
                "us",
                "labels/ms",
                "build",
                "MB");
    for (const Contender& contender : contenders) print(layer, contender);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
