/*
 * The C interface of libslidekit-kernels: every kernel, callable from C99 and anything that calls C.
 * Made by scripts/kernel_list.py from kernels/src/kernels.def and the C++ headers; do not edit.
 *
 * Each kernel has two forms. slidekit_<kernel>_<dtype> checks everything: null pointers, sizes that
 * are zero where they must not be, overflow or do not fit together, and the contents of ids and plans.
 * slidekit_<kernel>_<dtype>_fast checks pointers and sizes only, in constant time: ids and the contents
 * of plans have to be right. Where a check fails, both return why, and touch no output. A call with
 * nothing to do succeeds: an array of no elements may be null, and a matrix of no rows.
 *
 * What cannot be checked is the caller's: that an array really has the stated number of elements, and
 * that outputs do not overlap inputs.
 *
 * Alignment and aliasing: an array needs the alignment of its elements only; rows that begin on a
 * 64-byte line are faster. Arrays are read and written as the types of their declaration; memory of
 * another declared type may be passed as C and C++ allow it (malloc'ed memory, or char buffers copied
 * with memcpy, but not an int array passed as float).
 *
 * Memory, threads: a kernel allocates nothing, keeps nothing, starts no thread and never throws. Every
 * function may be called from any thread; slidekit_select_isa is for the start of a program.
 */
#ifndef SLIDEKIT_KERNELS_H
#define SLIDEKIT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifndef SLIDEKIT_C_API
#if defined(__GNUC__)
#define SLIDEKIT_C_API __attribute__((visibility("default")))
#else
#define SLIDEKIT_C_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a call says. Negative numbers never occur, and new codes come behind these. */
typedef enum slidekit_status {
    SLIDEKIT_OK = 0,
    SLIDEKIT_NULL_POINTER = 1,  /* an array or struct that is needed is null */
    SLIDEKIT_INVALID_SIZE = 2,  /* a size is zero, too large, overflows or does not fit another one */
    SLIDEKIT_OUT_OF_RANGE = 3,  /* an id is not below its bound */
    SLIDEKIT_NOT_ASCENDING = 4, /* ids, or starts of groups, do not ascend as they must */
    SLIDEKIT_INVALID_PLAN = 5,  /* what a plan holds contradicts its sizes */
    SLIDEKIT_INVALID_VALUE = 6, /* an unknown value of an enumeration, or a number out of its range */
    SLIDEKIT_UNSUPPORTED = 7    /* this machine or this build cannot do it */
} slidekit_status;

/** A sentence on a status; of an unknown one, that it is unknown. Never null. */
SLIDEKIT_C_API const char* slidekit_status_text(int status);

/** Levels of instruction sets, ascending. Functions take them as int, so that any value is defined. */
typedef enum slidekit_isa {
    SLIDEKIT_ISA_SCALAR = 0,
    SLIDEKIT_ISA_AVX2 = 1,
    SLIDEKIT_ISA_AVX512 = 2,
    SLIDEKIT_ISA_AVX512BF16 = 3
} slidekit_isa;

/** The version of the library: major * 10000 + minor * 100 + patch. */
SLIDEKIT_C_API uint32_t slidekit_kernels_version(void);

/** The level in use: the best that the machine supports, unless SLIDEKIT_ISA or slidekit_select_isa cap it. */
SLIDEKIT_C_API slidekit_isa slidekit_active_isa(void);

/** The level's name as SLIDEKIT_ISA takes it; null for an unknown level. */
SLIDEKIT_C_API const char* slidekit_isa_name(int isa);

/** Makes isa, a slidekit_isa, the level in use. UNSUPPORTED, and no change, where the machine cannot run
 * it; INVALID_VALUE where there is no such level. */
SLIDEKIT_C_API slidekit_status slidekit_select_isa(int isa);

/** Why SLIDEKIT_ISA was not honoured (unknown, or not supported here); empty where it was, never null. */
SLIDEKIT_C_API const char* slidekit_isa_complaint(void);

/** Floats of scratch that slidekit_hash_*_rows need for vectors of dim elements; 0 where that overflows. */
SLIDEKIT_C_API size_t slidekit_hash_scratch_floats(size_t dim);

/** A sparse vector: values[i] stands at coordinate ids[i]; ids in any order, repeats add up. */
typedef struct slidekit_sparse_view {
    const uint32_t* ids;
    const float* values;
    size_t nnz;
} slidekit_sparse_view;

typedef struct slidekit_const_matrix_f32 {
    const float* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_const_matrix_f32;

typedef struct slidekit_matrix_f32 {
    float* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_matrix_f32;

typedef struct slidekit_const_matrix_i8 {
    const int8_t* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_const_matrix_i8;

typedef struct slidekit_matrix_i8 {
    int8_t* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_matrix_i8;

typedef struct slidekit_const_matrix_u8 {
    const uint8_t* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_const_matrix_u8;

typedef struct slidekit_matrix_u8 {
    uint8_t* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_matrix_u8;

/** An element of a block that passed its column's threshold. */
typedef struct slidekit_hit {
    uint32_t row;
    uint32_t column;
    float value;
} slidekit_hit;

/** One use of a row: by which vector of the batch, and where the value of the pair (row, vector)
 * lives.
 */
typedef struct slidekit_member {
    uint32_t vector;
    uint32_t slot;
} slidekit_member;

/** Pairs (row, vector) grouped by row, as CSR: group g concerns row ids[g] and the vectors
 * members[starts[g]] .. members[starts[g + 1] - 1]. ids are distinct and ascending.
 *
 * The values of the pairs stay where they were made (one run a sample, for instance), so that both
 * orders, by row and by vector, see one array: pair p of a group has its value at members[p].slot.
 */
typedef struct slidekit_groups_view {
    const uint32_t* ids;
    const uint32_t* starts; /* count + 1 entries; they need not begin at 0 */
    const slidekit_member* members;
    size_t count;
    size_t slots; /* every slot is below it: the size of the array of values */
} slidekit_groups_view;

/** The left factor of multiply_add: element (i, j) is data[i * row_stride + j * column_stride], so
 * that a transpose is a swap of strides.
 */
typedef struct slidekit_strided_matrix {
    const float* data;
    size_t rows;
    size_t columns;
    size_t row_stride;
    size_t column_stride;
} slidekit_strided_matrix;

/** Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019):
 * m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w = w - lr m / (sqrt(v) + epsilon) - decay w.
 */
typedef struct slidekit_adam_step {
    float lr; /* bias-corrected: lr sqrt(1 - b2^t) / (1 - b1^t) */
    float beta1;
    float beta2;
    float epsilon;
    float decay; /* absolute: lr times the weight decay */
} slidekit_adam_step;

/** Plain stochastic gradient descent: w = w - lr g - decay w. */
typedef struct slidekit_sgd_step {
    float lr;
    float decay;
} slidekit_sgd_step;

/** Gradient descent with momentum (Polyak 1964, in the form of Sutskever et al. 2013):
 * u = momentum u + g; w = w - lr u - decay w; with Nesterov's look-ahead
 * w = w - lr (g + momentum u) - decay w.
 */
typedef struct slidekit_momentum_step {
    float lr;
    float momentum;
    float decay; /* absolute: lr times the weight decay */
    uint32_t nesterov; /* 0: plain; anything else: with look-ahead */
} slidekit_momentum_step;

/** Adagrad with one accumulator a row (Naumov et al. 2019, DLRM; FBGEMM's "rowwise Adagrad"):
 * s = s + mean over the row of g^2; w = w - lr g / (sqrt(s) + epsilon) - decay w.
 */
typedef struct slidekit_adagrad_step {
    float lr;
    float epsilon;
    float decay; /* absolute: lr times the weight decay */
} slidekit_adagrad_step;

/** Weights and moments of a matrix, row by row, all with one stride. */
typedef struct slidekit_adam_rows {
    slidekit_matrix_f32 weights;
    float* first; /* m, laid out like weights */
    float* second; /* v, laid out like weights */
} slidekit_adam_rows;

/** Biases and their moments, one a row; weights may be null: no bias. The bias does not decay. */
typedef struct slidekit_adam_bias {
    float* weights;
    float* first;
    float* second;
} slidekit_adam_bias;

/** Weights and their velocities, all with one stride. */
typedef struct slidekit_momentum_rows {
    slidekit_matrix_f32 weights;
    float* velocity; /* u, laid out like weights */
} slidekit_momentum_rows;

/** Biases and their velocities, one a row; weights may be null: no bias. The bias does not decay. */
typedef struct slidekit_momentum_bias {
    float* weights;
    float* velocity;
} slidekit_momentum_bias;

/** Weights, and one accumulator a row. */
typedef struct slidekit_adagrad_rows {
    slidekit_matrix_f32 weights;
    float* state; /* s: weights.rows elements, none below 0 */
} slidekit_adagrad_rows;

/** Biases, each with its accumulator; weights may be null: no bias. The bias does not decay. */
typedef struct slidekit_adagrad_bias {
    float* weights;
    float* state;
} slidekit_adagrad_bias;

/** Ids of one bucket of a hash table. */
typedef struct slidekit_bucket {
    const uint32_t* ids;
    size_t size;
} slidekit_bucket;

/** The buckets of one query, one a table. */
typedef struct slidekit_buckets_view {
    const slidekit_bucket* buckets;
    size_t count;
    size_t total; /* the sizes of all buckets added up */
} slidekit_buckets_view;

/** SimHash (Charikar 2002) with sparse projections of entries {+1, 0, -1}, about dim/3 non-zeros
 * each (Achlioptas 2003; SLIDE section 4.2): code = 1 if the projection is > 0, else 0 (so 0, -0
 * and NaN give 0). Key of a table: its K codes, the first one most significant.
 */
typedef struct slidekit_sim_hash_plan {
    uint32_t dim;
    uint32_t k; /* codes a table, 1..24 */
    uint32_t l; /* tables */
    uint32_t nonzeros; /* of each projection */
    /* terms[bit * nonzeros + j]: coordinate c of the j-th non-zero, as c for +1 and dim + c for */
    /* -1. */
    const uint16_t* terms;
    /* Optional: the terms again, as expand_simhash writes them, simhash_coefficients(dim, k * l) */
    /* of them. hash_simhash is several times as fast with them, for up to 127 non-zeros and 512 */
    /* coordinates. */
    /*  */
    /* By 16 projections, and within these by 4 coordinates: the coefficient (+1, 0, -1) of */
    /* coordinate c in projection b stands at ((b / 16 * quads + c / 4) * 16 + b % 16) * 4 + c % 4. */
    /* The last of the quads, dim / 4 rounded up and one more, begins with minus the sum of the */
    /* others. The rest is 0. */
    const int8_t* coefficients;
} slidekit_sim_hash_plan;

/** Where the key of (row, table) goes: keys[row * row_stride + table * table_stride]. */
typedef struct slidekit_key_layout {
    size_t row_stride;
    size_t table_stride;
} slidekit_key_layout;

/** DWTA (Chen and Shrivastava 2018), dense input, bins of 8: code = position within its bin of the
 * largest value; of equal values (ReLU zeros!) that of the lowest coordinate wins; NaN loses to
 * all. Key of a table: sum over its codes of code << (shift * (K - 1 - j)); shift 3 concatenates,
 * shift 2 is the overlapping packing of the released SLIDE.
 *
 * DWTA cuts permutations into bins: ceil(8 K L / dim) of them serve all codes. A plan whose bins
 * are the first 8 coordinates of a permutation each makes the same kernels compute WTA (Yagnik,
 * Strelow, Ross and Lin 2011, with a window of 8).
 */
typedef struct slidekit_dwta_plan {
    uint32_t dim;
    uint32_t k;
    uint32_t l;
    uint32_t shift;
    /* For bin b (= table * k + j) its 8 candidates by ascending coordinate, candidate-major: */
    /* coordinates[c * bins + b] and positions[c * bins + b], bins = k * l rounded up to a multiple */
    /* of 16. */
    uint32_t bins;
    const uint16_t* coordinates;
    const uint8_t* positions;
} slidekit_dwta_plan;

/** SimHash by pseudo-random rotations (Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt 2015,
 * section 5; fast transforms: Ailon and Chazelle 2009). A vector, zeros appended up to `padded`
 * coordinates, goes through two rounds; then each block of `padded` bits has a round of its own,
 * and a coordinate that comes out > 0 is a 1 (so 0, -0 and NaN are 0s; so are infinities that
 * meet). Bits b * padded .. are those of block b in order; keys as in SimHashPlan.
 *
 * Two bits of one block belong to orthogonal projections, two bits of different blocks to
 * projections as near to orthogonal as independent directions are.
 */
typedef struct slidekit_hadamard_plan {
    uint32_t dim; /* 1..4096 */
    uint32_t k; /* codes a table, 1..24 */
    uint32_t l; /* tables */
    uint32_t padded; /* hadamard_padded(dim) */
    /* signs[r * padded + c]: 0x80000000 where round r flips coordinate c, else 0, for the two */
    /* shared rounds and then one a block: hadamard_rounds(dim, k * l) in all. */
    const uint32_t* signs;
} slidekit_hadamard_plan;

/** The matrix of sparse projections written out; see SimHashPlan::coefficients. */
typedef struct slidekit_projection_plan {
    uint32_t dim;
    uint32_t k;
    uint32_t l;
    /* simhash_coefficients(dim, k * l) of them. */
    const int8_t* coefficients;
} slidekit_projection_plan;

/** A number in bfloat16: the upper half of a float's bits. Eight bits of precision, float's range. */
typedef struct slidekit_bf16 {
    uint16_t bits;
} slidekit_bf16;

/** Names a sequence of random numbers: number k of the stream is a function of (seed, counter, k)
 * and of nothing else. Two calls that must not share their numbers differ in seed or in counter,
 * for instance by the row's id and the step.
 */
typedef struct slidekit_bit_stream {
    uint64_t seed;
    uint64_t counter;
} slidekit_bit_stream;

typedef struct slidekit_const_matrix_bf16 {
    const slidekit_bf16* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_const_matrix_bf16;

typedef struct slidekit_matrix_bf16 {
    slidekit_bf16* data;
    size_t rows;
    size_t dim;
    size_t stride; /* elements from row to row, >= dim */
} slidekit_matrix_bf16;

/** Weights as halves and moments of a matrix, row by row, all with one stride. */
typedef struct slidekit_adam_split_rows {
    slidekit_matrix_bf16 high;
    uint16_t* low; /* laid out like high */
    float* first; /* m, laid out like high */
    float* second; /* v, laid out like high */
} slidekit_adam_split_rows;

/** Weights of a matrix as halves, row by row, both with one stride. */
typedef struct slidekit_split_rows {
    slidekit_matrix_bf16 high;
    uint16_t* low; /* laid out like high */
} slidekit_split_rows;

/** Weights as halves and their velocities, all with one stride. */
typedef struct slidekit_momentum_split_rows {
    slidekit_matrix_bf16 high;
    uint16_t* low; /* laid out like high */
    float* velocity; /* u, laid out like high */
} slidekit_momentum_split_rows;

/** Weights as halves, and one accumulator a row. */
typedef struct slidekit_adagrad_split_rows {
    slidekit_matrix_bf16 high;
    uint16_t* low; /* laid out like high */
    float* state; /* s: high.rows elements, none below 0 */
} slidekit_adagrad_split_rows;

/** Densified one-permutation minhash. Key of a table: h = seed, then h = fmix32(code ^ h) for each
 * of its codes, then the highest `bits` of h.
 */
typedef struct slidekit_doph_plan {
    uint32_t k; /* codes a table, 1..64 */
    uint32_t l; /* tables, 1..65536 */
    uint32_t bits; /* of a key, 1..32 */
    uint32_t top; /* values of a dense vector that make its set, at most 65536 */
    uint32_t seed;
    /* Code j of table t is that of bin order[j * l + t]: a permutation; null: of bin j * l + t. */
    const uint32_t* order;
} slidekit_doph_plan;

/** K projections for each of L tables, code = floor((a.x + b) / width), b uniform in [0, width);
 * below -2^31 and NaN: -2^31, above 2^31 - 128: that. Key of a table: h = seed, then h =
 * fmix32(code ^ h) for each of its codes as a 32-bit number, then the highest `bits` of h.
 */
typedef struct slidekit_pstable_plan {
    uint32_t dim;
    uint32_t k; /* codes a table, 1..64 */
    uint32_t l; /* tables, 1..65536 */
    uint32_t bits; /* of a key, 1..32 */
    uint32_t seed;
    float width;
    /* Sixteen tables side by side: coordinate c of code j of table t at projections[((t / 16 * k + */
    /* j) * dim + c) * 16 + t % 16], its b at offsets[(t / 16 * k + j) * 16 + t % 16]. Tables past */
    /* l are there, and unused. */
    const float* projections;
    const float* offsets;
} slidekit_pstable_plan;

/** DWTA (Chen and Shrivastava 2018) of sparse vectors: code = position within its bin of the
 * largest value listed there. Ties, NaN and keys as in DwtaPlan; a value that is listed counts,
 * whatever it is, zero included. Ids may come in any order; of an id's repeats the largest value
 * counts. So a vector with all its coordinates listed has the keys that hash_dwta gives it under
 * the same functions.
 *
 * A bin without a listed coordinate (densification, section 3 of the paper) takes the code of the
 * first bin that has one among dwta_probe(bin, a, k * l), a = 0 .. kProbes - 1, and, if none of
 * these has, among bin + 1, bin + 2, .. around. Without any coordinate all codes are 0.
 */
typedef struct slidekit_sparse_dwta_plan {
    uint32_t dim;
    uint32_t k; /* codes a table */
    uint32_t l; /* tables */
    uint32_t shift;
    uint32_t permutations;
    /* places[c * permutations + p]: where permutation p puts coordinate c, as 8 * bin + position; */
    /* from 8 * k * l on: nowhere. Several coordinates may share a place. */
    const uint32_t* places;
} slidekit_sparse_dwta_plan;

/* --- dot ------------------------------------------------------------------- */

/** sum_k x[k] * y[k] over dim elements. Never throws or allocates; thread-safe.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_f32(
    const float* x,
    const float* y,
    size_t dim,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_dot_f32_fast(
    const float* x,
    const float* y,
    size_t dim,
    float* result);

/** sum_j x.values[j] * y[x.ids[j]]: a sparse vector and a dense one of dim elements. Requires:
 * x.ids < dim.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_sparse_dense_f32(
    slidekit_sparse_view x,
    const float* y,
    size_t dim,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_dot_sparse_dense_f32_fast(
    slidekit_sparse_view x,
    const float* y,
    size_t dim,
    float* result);

/** sum of x.values[i] * y.values[j] where x.ids[i] == y.ids[j]: two sparse vectors, of any lengths.
 * Products of coordinates that only one of them has are not formed.
 *
 * Requires: the ids of each are strictly ascending.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_sparse_sparse_f32(
    slidekit_sparse_view x,
    slidekit_sparse_view y,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_dot_sparse_sparse_f32_fast(
    slidekit_sparse_view x,
    slidekit_sparse_view y,
    float* result);

/** out[i] = sum_k x[k] * rows[ids[i]][k], i < count: one vector against gathered rows.
 *
 * Rows may come from DRAM: the kernel prefetches 16 rows ahead.
 * Requires: x has rows.dim elements, ids[i] < rows.rows, out has count elements.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_f32(
    const float* x,
    slidekit_const_matrix_f32 rows,
    const uint32_t* ids,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_f32_fast(
    const float* x,
    slidekit_const_matrix_f32 rows,
    const uint32_t* ids,
    size_t count,
    float* out);

/** out[i] = sum_j x.values[j] * rows[ids[i]][x.ids[j]], i < count: one sparse vector against
 * gathered rows, as where the layers on both sides of the weights are sampled.
 *
 * Where x has an id for eight coordinates or more, whole rows are read, and what stands at other
 * coordinates is multiplied by zero: it has to be finite for the sum to be.
 * Requires: x.ids < rows.dim, ids[i] < rows.rows, out has count elements.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_sparse_rows_f32(
    slidekit_sparse_view x,
    slidekit_const_matrix_f32 rows,
    const uint32_t* ids,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_sparse_rows_f32_fast(
    slidekit_sparse_view x,
    slidekit_const_matrix_f32 rows,
    const uint32_t* ids,
    size_t count,
    float* out);

/** dot_rows on 8-bit rows, exact in int32: a quarter of the bytes, for ranking candidates.
 *
 * Requires: x[k] <= 127, so that no level saturates; dim <= 65536.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_i8(
    const uint8_t* x,
    slidekit_const_matrix_i8 rows,
    const uint32_t* ids,
    size_t count,
    int32_t* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_i8_fast(
    const uint8_t* x,
    slidekit_const_matrix_i8 rows,
    const uint32_t* ids,
    size_t count,
    int32_t* out);

/** out[i] = x_scale * scales[ids[i]] * sum_k x[k] * rows[ids[i]][k], i < count: inner products of
 * vectors quantised by quantize_i8, with the scale that it returned of x and of each row.
 *
 * The sum is exact in int32, and is multiplied, as a float, with x_scale * scales[ids[i]]: the
 * same bits on every level. Requires: dim <= 65536.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_i8_scaled_i8(
    const int8_t* x,
    float x_scale,
    slidekit_const_matrix_i8 rows,
    const float* scales,
    const uint32_t* ids,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_i8_scaled_i8_fast(
    const int8_t* x,
    float x_scale,
    slidekit_const_matrix_i8 rows,
    const float* scales,
    const uint32_t* ids,
    size_t count,
    float* out);

/** out[i] = x_scale * scale * (x . rows[ids[i]]) + bias, i < count, with {scale, bias} in
 * affine[ids[i]]: logits of 8-bit copies of rows, for ranking candidates.
 *
 * Scale and bias of a row stand together, so that one cache line brings both. The sum is exact in
 * int32, the rest rounded at each step: the same bits on every level. Requires: x[k] <= 127, so
 * that no level saturates; dim <= 65536.
 */
SLIDEKIT_C_API slidekit_status slidekit_score_rows_i8(
    const uint8_t* x,
    float x_scale,
    slidekit_const_matrix_i8 rows,
    slidekit_const_matrix_f32 affine,
    const uint32_t* ids,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_score_rows_i8_fast(
    const uint8_t* x,
    float x_scale,
    slidekit_const_matrix_i8 rows,
    slidekit_const_matrix_f32 affine,
    const uint32_t* ids,
    size_t count,
    float* out);

/** out[i][s] = x_scales[s] * scale * (x_s . rows[ids[i]]) + bias, i < count, with {scale, bias} in
 * affine[ids[i]]: many rows of bytes against a batch of byte vectors, for scans of whole layers.
 *
 * Four coordinates of a vector stand together: coordinate k of vector s is x[k / 4][4 s + k % 4].
 * The sum is exact in int32, the rest rounded at each step: the same bits on every level.
 * Requires: rows.dim = 4 x.rows <= 65536, x.dim = 4 out.dim, out has count rows.
 */
SLIDEKIT_C_API slidekit_status slidekit_multiply_rows_i8(
    slidekit_const_matrix_u8 x,
    const float* x_scales,
    slidekit_const_matrix_i8 rows,
    slidekit_const_matrix_f32 affine,
    const uint32_t* ids,
    size_t count,
    slidekit_matrix_f32 out);
SLIDEKIT_C_API slidekit_status slidekit_multiply_rows_i8_fast(
    slidekit_const_matrix_u8 x,
    const float* x_scales,
    slidekit_const_matrix_i8 rows,
    slidekit_const_matrix_f32 affine,
    const uint32_t* ids,
    size_t count,
    slidekit_matrix_f32 out);

/** Lists the pairs whose value, that of multiply_rows_i8, is above threshold[vector], as hits {i,
 * vector, value}; returns how many. What scans keep of many values is listed without storing them.
 *
 * Hits come by blocks of 32 rows and in these of 64 vectors, in each by row and then vector: those
 * of a vector ascend. Requires: as multiply_rows_i8; hits has room for count * vectors.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_scan_rows_i8(
    slidekit_const_matrix_u8 x,
    const float* x_scales,
    size_t vectors,
    slidekit_const_matrix_i8 rows,
    slidekit_const_matrix_f32 affine,
    const uint32_t* ids,
    size_t count,
    const float* threshold,
    slidekit_hit* hits,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_scan_rows_i8_fast(
    slidekit_const_matrix_u8 x,
    const float* x_scales,
    size_t vectors,
    slidekit_const_matrix_i8 rows,
    slidekit_const_matrix_f32 affine,
    const uint32_t* ids,
    size_t count,
    const float* threshold,
    slidekit_hit* hits,
    size_t* result);

/** out[slot] = rows[id] . vectors[vector] + bias[id] for every pair of the groups: each row is read
 * once and dotted with all its vectors, which are expected in cache.
 *
 * bias may be null. Requires: rows.dim == vectors.dim; ids < rows.rows; vectors < vectors.rows.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_groups_f32(
    slidekit_groups_view groups,
    slidekit_const_matrix_f32 rows,
    const float* bias,
    slidekit_const_matrix_f32 vectors,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_groups_f32_fast(
    slidekit_groups_view groups,
    slidekit_const_matrix_f32 rows,
    const float* bias,
    slidekit_const_matrix_f32 vectors,
    float* out);

/* --- axpy ------------------------------------------------------------------ */

/** y[k] += a * x[k], k < dim. */
SLIDEKIT_C_API slidekit_status slidekit_axpy_f32(float a, const float* x, float* y, size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_axpy_f32_fast(
    float a,
    const float* x,
    float* y,
    size_t dim);

/** out[k] += sum_i input.values[i] * rows[input.ids[i]][k]: an embedding bag. Order of sums: i
 * ascending.
 *
 * Requires: ids < rows.rows; out has rows.dim elements and does not overlap the rows.
 */
SLIDEKIT_C_API slidekit_status slidekit_bag_rows_f32(
    slidekit_sparse_view input,
    slidekit_const_matrix_f32 rows,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_bag_rows_f32_fast(
    slidekit_sparse_view input,
    slidekit_const_matrix_f32 rows,
    float* out);

/** rows[weights.ids[i]][k] += weights.values[i] * x[k]: the transpose of bag_rows.
 *
 * Requires: ids < rows.rows; x has rows.dim elements and does not overlap the rows.
 */
SLIDEKIT_C_API slidekit_status slidekit_scatter_rows_f32(
    slidekit_sparse_view weights,
    const float* x,
    slidekit_matrix_f32 rows);
SLIDEKIT_C_API slidekit_status slidekit_scatter_rows_f32_fast(
    slidekit_sparse_view weights,
    const float* x,
    slidekit_matrix_f32 rows);

/* --- activation ------------------------------------------------------------ */

/** x[k] = max(x[k], 0); NaN and -0 become 0. */
SLIDEKIT_C_API slidekit_status slidekit_relu_f32(float* x, size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_relu_f32_fast(float* x, size_t dim);

/** gradient[k] = activation[k] > 0 ? gradient[k] : 0. */
SLIDEKIT_C_API slidekit_status slidekit_relu_gradient_f32(
    const float* activation,
    float* gradient,
    size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_relu_gradient_f32_fast(
    const float* activation,
    float* gradient,
    size_t dim);

/** x[k] = 1 / (1 + e^-x[k]), within 2.5 ulp; below the least normal number it becomes 0. NaN stays. */
SLIDEKIT_C_API slidekit_status slidekit_sigmoid_f32(float* x, size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_sigmoid_f32_fast(float* x, size_t dim);

/** gradient[k] *= y (1 - y) with y = activation[k], what sigmoid() gave. */
SLIDEKIT_C_API slidekit_status slidekit_sigmoid_gradient_f32(
    const float* activation,
    float* gradient,
    size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_sigmoid_gradient_f32_fast(
    const float* activation,
    float* gradient,
    size_t dim);

/** x[k] = tanh(x[k]), within 2.5 ulp (1.4 but for the scalar level), odd to the last bit. NaN
 * stays.
 */
SLIDEKIT_C_API slidekit_status slidekit_tanh_f32(float* x, size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_tanh_f32_fast(float* x, size_t dim);

/** gradient[k] *= 1 - y^2 with y = activation[k], what tanh() gave.
 *
 * As (1 - y) (1 + y), which does not cancel where y is near 1.
 */
SLIDEKIT_C_API slidekit_status slidekit_tanh_gradient_f32(
    const float* activation,
    float* gradient,
    size_t dim);
SLIDEKIT_C_API slidekit_status slidekit_tanh_gradient_f32_fast(
    const float* activation,
    float* gradient,
    size_t dim);

/** x[i] = e^x[i] / sum of all e^x[i], safely; returns log of that sum (log-sum-exp).
 *
 * Of nothing, or where every x[i] is -infinity, the sum is 0: the values become 0 and the result
 * is -infinity. One NaN or +infinity makes all NaN. Accumulators: fp32, one a lane.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_softmax_f32(float* x, size_t count, float* result);
SLIDEKIT_C_API slidekit_status slidekit_softmax_f32_fast(float* x, size_t count, float* result);

/** The largest of count values; -infinity when count is 0. NaN values are passed over.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_max_value_f32(const float* x, size_t count, float* result);
SLIDEKIT_C_API slidekit_status slidekit_max_value_f32_fast(
    const float* x,
    size_t count,
    float* result);

/** x[i] = exp(x[i] - shift), and their sum. Relative error of each exp under 4 ulp; x[i] <= shift
 * expected.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_exp_sum_f32(
    float* x,
    size_t count,
    float shift,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_exp_sum_f32_fast(
    float* x,
    size_t count,
    float shift,
    float* result);

/** x[i] *= a. */
SLIDEKIT_C_API slidekit_status slidekit_scale_f32(float a, float* x, size_t count);
SLIDEKIT_C_API slidekit_status slidekit_scale_f32_fast(float a, float* x, size_t count);

/** Folds a block of logits into running column maxima and sums of exponentials (online softmax):
 * max'[c] = max(max[c], max_r logits[r][c]), sum'[c] = sum[c] e^(max[c] - max'[c]) + sum_r
 * e^(logits[r][c] - max'[c]).
 *
 * Start with max = -infinity and sum = 0. Requires: max and sum have logits.dim elements.
 */
SLIDEKIT_C_API slidekit_status slidekit_fold_softmax_columns_f32(
    slidekit_const_matrix_f32 logits,
    float* max,
    float* sum);
SLIDEKIT_C_API slidekit_status slidekit_fold_softmax_columns_f32_fast(
    slidekit_const_matrix_f32 logits,
    float* max,
    float* sum);

/** logits[r][c] = exp(logits[r][c] - max[c]) * factor[c]. */
SLIDEKIT_C_API slidekit_status slidekit_apply_softmax_columns_f32(
    slidekit_matrix_f32 logits,
    const float* max,
    const float* factor);
SLIDEKIT_C_API slidekit_status slidekit_apply_softmax_columns_f32_fast(
    slidekit_matrix_f32 logits,
    const float* max,
    const float* factor);

/* --- dense ----------------------------------------------------------------- */

/** c += a * b; a is rows x columns, b has a.columns rows of b.dim elements, c has a.rows rows of
 * b.dim.
 *
 * For blocks that fit in L2; accumulates over a.columns in ascending order in fp32 with FMA.
 * Requires: b.rows >= a.columns, c.rows >= a.rows, c.dim == b.dim, c overlaps neither factor.
 */
SLIDEKIT_C_API slidekit_status slidekit_multiply_add_f32(
    slidekit_strided_matrix a,
    slidekit_const_matrix_f32 b,
    slidekit_matrix_f32 c);
SLIDEKIT_C_API slidekit_status slidekit_multiply_add_f32_fast(
    slidekit_strided_matrix a,
    slidekit_const_matrix_f32 b,
    slidekit_matrix_f32 c);

/** target[c][r] = source[r][c].
 *
 * Requires: target.rows >= source.dim, target.dim >= source.rows; no overlap.
 */
SLIDEKIT_C_API slidekit_status slidekit_transpose_f32(
    slidekit_const_matrix_f32 source,
    slidekit_matrix_f32 target);
SLIDEKIT_C_API slidekit_status slidekit_transpose_f32_fast(
    slidekit_const_matrix_f32 source,
    slidekit_matrix_f32 target);

/* --- optimizer ------------------------------------------------------------- */

/** One row. The division and square root are exact (IEEE), not estimates.
 *
 * It works element by element: dense Adam, which moves rows without a gradient too, is this over
 * all rows, or over a whole matrix without padding as one row of rows * dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_adam_row_f32(
    float* weights,
    float* first,
    float* second,
    const float* gradient,
    size_t dim,
    const slidekit_adam_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adam_row_f32_fast(
    float* weights,
    float* first,
    float* second,
    const float* gradient,
    size_t dim,
    const slidekit_adam_step* step);

/** One row. The division and square root are exact (IEEE), not estimates.
 *
 * It works element by element: dense Adam, which moves rows without a gradient too, is this over
 * all rows, or over a whole matrix without padding as one row of rows * dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_sgd_row_f32(
    float* weights,
    const float* gradient,
    size_t dim,
    const slidekit_sgd_step* step);
SLIDEKIT_C_API slidekit_status slidekit_sgd_row_f32_fast(
    float* weights,
    const float* gradient,
    size_t dim,
    const slidekit_sgd_step* step);

/** One row. The division and square root are exact (IEEE), not estimates.
 *
 * It works element by element: dense Adam, which moves rows without a gradient too, is this over
 * all rows, or over a whole matrix without padding as one row of rows * dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_momentum_row_f32(
    float* weights,
    float* velocity,
    const float* gradient,
    size_t dim,
    const slidekit_momentum_step* step);
SLIDEKIT_C_API slidekit_status slidekit_momentum_row_f32_fast(
    float* weights,
    float* velocity,
    const float* gradient,
    size_t dim,
    const slidekit_momentum_step* step);

/** One row with its accumulator, *state.
 *
 * Accumulators of the mean: fp32, one a lane. The division and square root are exact (IEEE), one a
 * row. A row of no elements is left alone, its state too.
 */
SLIDEKIT_C_API slidekit_status slidekit_adagrad_row_f32(
    float* weights,
    float* state,
    const float* gradient,
    size_t dim,
    const slidekit_adagrad_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adagrad_row_f32_fast(
    float* weights,
    float* state,
    const float* gradient,
    size_t dim,
    const slidekit_adagrad_step* step);

/** Backward pass and update of every group's row, fused. For group g with row id and old weights w:
 *   gradient = sum over members of values[slot] * vectors[vector]       (bias: sum of
 *   values[slot]) back[vector] += values[slot] * w                                    for each
 *   member, unless back.data is null Adam on the row and its bias.
 *
 * Order of sums: members ascending within a group, groups ascending. Prefetches rows ahead.
 * Requires: all dims equal; one task at a time per row and per back matrix.
 * Source: SLIDE [MLSys 2020], section 3, regrouped by neuron so that a row belongs to one task.
 */
SLIDEKIT_C_API slidekit_status slidekit_adam_groups_f32(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adam_rows rows,
    slidekit_adam_bias bias,
    const slidekit_adam_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adam_groups_f32_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adam_rows rows,
    slidekit_adam_bias bias,
    const slidekit_adam_step* step);

/** The same with plain gradient descent; bias may be null. */
SLIDEKIT_C_API slidekit_status slidekit_sgd_groups_f32(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_matrix_f32 rows,
    float* bias,
    const slidekit_sgd_step* step);
SLIDEKIT_C_API slidekit_status slidekit_sgd_groups_f32_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_matrix_f32 rows,
    float* bias,
    const slidekit_sgd_step* step);

/** The same with momentum. Velocities of rows outside the groups do not decay: "lazy" momentum. */
SLIDEKIT_C_API slidekit_status slidekit_momentum_groups_f32(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_momentum_rows rows,
    slidekit_momentum_bias bias,
    const slidekit_momentum_step* step);
SLIDEKIT_C_API slidekit_status slidekit_momentum_groups_f32_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_momentum_rows rows,
    slidekit_momentum_bias bias,
    const slidekit_momentum_step* step);

/** The same with row-wise Adagrad: a row's whole gradient, then its accumulator, then its weights.
 *
 * Rows of up to 1024 elements gather their gradient once; wider ones twice.
 */
SLIDEKIT_C_API slidekit_status slidekit_adagrad_groups_f32(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adagrad_rows rows,
    slidekit_adagrad_bias bias,
    const slidekit_adagrad_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adagrad_groups_f32_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adagrad_rows rows,
    slidekit_adagrad_bias bias,
    const slidekit_adagrad_step* step);

/* --- topk ------------------------------------------------------------------ */

/** Writes the positions of the k largest scores in ascending order of position; returns min(k,
 * count).
 *
 * Of equal scores the lower positions are taken. NaN ranks below everything, -0 equals 0.
 * Requires: positions has room for min(k, count) entries. O(count) with a small factor.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_select_top_k_f32(
    const float* scores,
    size_t count,
    size_t k,
    uint32_t* positions,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_select_top_k_f32_fast(
    const float* scores,
    size_t count,
    size_t k,
    uint32_t* positions,
    size_t* result);

/** Lists the elements with block[r][c] > threshold[c], by ascending r then c; returns how many.
 *
 * Requires: hits has room for block.rows * block.dim entries.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_find_above_columns_f32(
    slidekit_const_matrix_f32 block,
    const float* threshold,
    slidekit_hit* hits,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_find_above_columns_f32_fast(
    slidekit_const_matrix_f32 block,
    const float* threshold,
    slidekit_hit* hits,
    size_t* result);

/* --- dedup ----------------------------------------------------------------- */

/** Writes each of the ids once, in order of first appearance, and returns how many there are.
 *
 * An id is new if stamps[id] is not `stamp`, and is stamped then. Elements of out from the result
 * on may be overwritten. Requires: ids below bound. About a nanosecond an id where the stamps are
 * in cache: nothing branches on what was met.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_dedup_ids_u32(
    const uint32_t* ids,
    size_t count,
    uint16_t stamp,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_dedup_ids_u32_fast(
    const uint32_t* ids,
    size_t count,
    uint16_t stamp,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    size_t* result);

/** The same of all buckets in turn, as if they were one list; out has room for buckets.total ids.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_dedup_buckets_u32(
    slidekit_buckets_view buckets,
    uint16_t stamp,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_dedup_buckets_u32_fast(
    slidekit_buckets_view buckets,
    uint16_t stamp,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    size_t* result);

/** As dedup_ids, and counts[i] = how often out[i] was met.
 *
 * The stamp of an id met m times becomes base + m: one above base is of this query. Requires: no
 * stamp above base at first, and base plus the largest count is at most 65535.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_count_ids_u32(
    const uint32_t* ids,
    size_t count,
    uint16_t base,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    uint16_t* counts,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_count_ids_u32_fast(
    const uint32_t* ids,
    size_t count,
    uint16_t base,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    uint16_t* counts,
    size_t* result);

/** The same of all buckets in turn; out and counts have room for buckets.total elements.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_count_buckets_u32(
    slidekit_buckets_view buckets,
    uint16_t base,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    uint16_t* counts,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_count_buckets_u32_fast(
    slidekit_buckets_view buckets,
    uint16_t base,
    uint16_t* stamps,
    size_t bound,
    uint32_t* out,
    uint16_t* counts,
    size_t* result);

/** Writes the positions with counts[i] >= least, ascending, and returns how many: SLIDE's hard
 * threshold. Nothing is written past them.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_select_counted_u16(
    const uint16_t* counts,
    size_t count,
    uint16_t least,
    uint32_t* positions,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_select_counted_u16_fast(
    const uint16_t* counts,
    size_t count,
    uint16_t least,
    uint32_t* positions,
    size_t* result);

/** Writes the positions of the k largest counts in ascending order of position; returns min(k,
 * count). Of equal counts the lower positions are taken: select_top_k for small whole numbers,
 * with one pass over the counts for each bit of the largest, and two more.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_select_top_counts_u16(
    const uint16_t* counts,
    size_t count,
    size_t k,
    uint32_t* positions,
    size_t* result);
SLIDEKIT_C_API slidekit_status slidekit_select_top_counts_u16_fast(
    const uint16_t* counts,
    size_t count,
    size_t k,
    uint32_t* positions,
    size_t* result);

/* --- convert --------------------------------------------------------------- */

/** out[k] = round(x[k] / s) with s = max|x| / 127, in -127..127; returns s (0 for a zero row).
 *
 * Rounds to nearest even; bit-equal on every level. Requires: x is finite.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_quantize_i8_f32(
    const float* x,
    size_t dim,
    int8_t* out,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_quantize_i8_f32_fast(
    const float* x,
    size_t dim,
    int8_t* out,
    float* result);

/** The same for non-negative x (an activation after ReLU), in 0..127.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_quantize_u7_f32(
    const float* x,
    size_t dim,
    uint8_t* out,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_quantize_u7_f32_fast(
    const float* x,
    size_t dim,
    uint8_t* out,
    float* result);

/** out[k] = scale * q[k]: the inverse of both, but for what they rounded away. */
SLIDEKIT_C_API slidekit_status slidekit_dequantize_i8(
    const int8_t* q,
    size_t dim,
    float scale,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dequantize_i8_fast(
    const int8_t* q,
    size_t dim,
    float scale,
    float* out);

/* --- hash ------------------------------------------------------------------ */

/** Keys of one vector of plan.dim elements: keys[t], t < plan.l. */
SLIDEKIT_C_API slidekit_status slidekit_hash_simhash_f32(
    const slidekit_sim_hash_plan* plan,
    const float* x,
    uint32_t* keys);
SLIDEKIT_C_API slidekit_status slidekit_hash_simhash_f32_fast(
    const slidekit_sim_hash_plan* plan,
    const float* x,
    uint32_t* keys);

/** Keys of all rows, each less `centre` (plan.dim elements; null: nothing taken off), in one
 * rounding per coordinate. scratch: hash_scratch_floats(plan.dim) floats. Requires: rows.dim ==
 * plan.dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_simhash_rows_f32(
    const slidekit_sim_hash_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_simhash_rows_f32_fast(
    const slidekit_sim_hash_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);

/** Keys of one vector of plan.dim elements: keys[t], t < plan.l. */
SLIDEKIT_C_API slidekit_status slidekit_hash_dwta_f32(
    const slidekit_dwta_plan* plan,
    const float* x,
    uint32_t* keys);
SLIDEKIT_C_API slidekit_status slidekit_hash_dwta_f32_fast(
    const slidekit_dwta_plan* plan,
    const float* x,
    uint32_t* keys);

/** Keys of all rows, each less `centre` (plan.dim elements; null: nothing taken off), in one
 * rounding per coordinate. scratch: hash_scratch_floats(plan.dim) floats. Requires: rows.dim ==
 * plan.dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_dwta_rows_f32(
    const slidekit_dwta_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_dwta_rows_f32_fast(
    const slidekit_dwta_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);

/* --- hadamard -------------------------------------------------------------- */

/** Keys by structured SimHash of one vector.
 *
 * x: plan.dim elements; keys[t], t < plan.l.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_hadamard_f32(
    const slidekit_hadamard_plan* plan,
    const float* x,
    uint32_t* keys);
SLIDEKIT_C_API slidekit_status slidekit_hash_hadamard_f32_fast(
    const slidekit_hadamard_plan* plan,
    const float* x,
    uint32_t* keys);

/** Keys by structured SimHash of all rows, each less a centre.
 *
 * centre: plan.dim elements, taken off in one rounding per coordinate; null: nothing taken off.
 * scratch: hash_scratch_floats(plan.padded) floats. Requires: rows.dim == plan.dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_hadamard_rows_f32(
    const slidekit_hadamard_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_hadamard_rows_f32_fast(
    const slidekit_hadamard_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);

/* --- projections ----------------------------------------------------------- */

/** Writes the projections of plan.terms out as SimHashPlan::coefficients. */
SLIDEKIT_C_API slidekit_status slidekit_expand_simhash_i8(
    const slidekit_sim_hash_plan* plan,
    int8_t* coefficients);
SLIDEKIT_C_API slidekit_status slidekit_expand_simhash_i8_fast(
    const slidekit_sim_hash_plan* plan,
    int8_t* coefficients);

/** All k * l projections of a vector of plan.dim elements.
 *
 * Sums run in the order of the terms, the same on every level.
 */
SLIDEKIT_C_API slidekit_status slidekit_project_simhash_f32(
    const slidekit_sim_hash_plan* plan,
    const float* x,
    float* projections);
SLIDEKIT_C_API slidekit_status slidekit_project_simhash_f32_fast(
    const slidekit_sim_hash_plan* plan,
    const float* x,
    float* projections);

/** Adds the projections of a change to those that are kept.
 *
 * One coordinate after the other, each with one rounding, the same on every level. For a change of
 * all coordinates it takes as long as project_simhash, and of a quarter as long as hash_simhash of
 * the changed vector (dim 128).
 */
SLIDEKIT_C_API slidekit_status slidekit_update_projections_f32(
    const slidekit_projection_plan* plan,
    slidekit_sparse_view change,
    float* projections);
SLIDEKIT_C_API slidekit_status slidekit_update_projections_f32_fast(
    const slidekit_projection_plan* plan,
    slidekit_sparse_view change,
    float* projections);

/** Keys of projections that are kept, less those of a centre.
 *
 * keys[t]: codes of projections t * k .. t * k + k - 1, the first one most significant; a code is
 * 1 where the projection is larger than the centre's (k * l projections; null: zeros).
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_projections_f32(
    const float* projections,
    const float* centre,
    uint32_t k,
    uint32_t l,
    uint32_t* keys);
SLIDEKIT_C_API slidekit_status slidekit_hash_projections_f32_fast(
    const float* projections,
    const float* centre,
    uint32_t k,
    uint32_t l,
    uint32_t* keys);

/* --- bf16 ------------------------------------------------------------------ */

/** out[k] = x[k] in bf16, rounded to nearest even: past the largest number comes infinity, numbers
 * below 2^-126 are kept, and a NaN stays one, made quiet. Bit-equal on every level.
 */
SLIDEKIT_C_API slidekit_status slidekit_convert_f32_to_bf16_f32(
    const float* x,
    size_t count,
    slidekit_bf16* out);
SLIDEKIT_C_API slidekit_status slidekit_convert_f32_to_bf16_f32_fast(
    const float* x,
    size_t count,
    slidekit_bf16* out);

/** out[k] = x[k], exactly, NaN included. */
SLIDEKIT_C_API slidekit_status slidekit_convert_bf16_to_f32_bf16(
    const slidekit_bf16* x,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_convert_bf16_to_f32_bf16_fast(
    const slidekit_bf16* x,
    size_t count,
    float* out);

/** out[k] = one of the two bf16 next to x[k], drawn so that its mean is x[k]: away from zero with
 * the probability of (distance to the nearer-to-zero neighbour) / (distance of the two).
 *
 * Adds 16 random bits below bf16's last and cuts. What is exact in bf16, infinity and NaN stay as
 * convert_f32_to_bf16 leaves them. Random number k of the stream belongs to element k. Bit-equal
 * on every level. Source: Gupta et al., "Deep Learning with Limited Numerical Precision" (ICML
 * 2015).
 */
SLIDEKIT_C_API slidekit_status slidekit_round_bf16_stochastic_f32(
    const float* x,
    size_t count,
    const slidekit_bit_stream* random,
    slidekit_bf16* out);
SLIDEKIT_C_API slidekit_status slidekit_round_bf16_stochastic_f32_fast(
    const float* x,
    size_t count,
    const slidekit_bit_stream* random,
    slidekit_bf16* out);

/** Cuts each float into halves: high is its bf16, rounded towards zero, low the 16 bits below, so
 * that both together are the float. Weights kept so are computed with in bf16 and updated in fp32
 * (optimizer_bf16.hpp) in no more memory than fp32 takes.
 */
SLIDEKIT_C_API slidekit_status slidekit_split_f32(
    const float* x,
    size_t count,
    slidekit_bf16* high,
    uint16_t* low);
SLIDEKIT_C_API slidekit_status slidekit_split_f32_fast(
    const float* x,
    size_t count,
    slidekit_bf16* high,
    uint16_t* low);

/** The inverse of split_f32. */
SLIDEKIT_C_API slidekit_status slidekit_join_f32(
    const slidekit_bf16* high,
    const uint16_t* low,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_join_f32_fast(
    const slidekit_bf16* high,
    const uint16_t* low,
    size_t count,
    float* out);

/** sum_k x[k] * y[k] over dim elements: exact products, sums in fp32.
 *
 * Error: at most c * dim * 2^-24 * sum |x_k y_k|; the level avx512bf16 takes numbers and sums
 * below 2^-126 for zeros, which adds at most 2^-126 * sum (|x_k| + |y_k| + 1). So do all products
 * of bf16 with bf16.
 * *result: what the function of C++ returns.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_bf16(
    const slidekit_bf16* x,
    const slidekit_bf16* y,
    size_t dim,
    float* result);
SLIDEKIT_C_API slidekit_status slidekit_dot_bf16_fast(
    const slidekit_bf16* x,
    const slidekit_bf16* y,
    size_t dim,
    float* result);

/** out[i] = sum_k x[k] * rows[ids[i]][k], i < count: one vector against gathered rows.
 *
 * Rows may come from DRAM: the kernel prefetches 32 rows ahead.
 * Requires: x has rows.dim elements, ids[i] < rows.rows, out has count elements.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_bf16(
    const slidekit_bf16* x,
    slidekit_const_matrix_bf16 rows,
    const uint32_t* ids,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_bf16_fast(
    const slidekit_bf16* x,
    slidekit_const_matrix_bf16 rows,
    const uint32_t* ids,
    size_t count,
    float* out);

/** The same with x in fp32, which is not rounded: from memory as fast as dot_rows_bf16. */
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_mixed_bf16(
    const float* x,
    slidekit_const_matrix_bf16 rows,
    const uint32_t* ids,
    size_t count,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_rows_mixed_bf16_fast(
    const float* x,
    slidekit_const_matrix_bf16 rows,
    const uint32_t* ids,
    size_t count,
    float* out);

/** out[slot] = rows[id] . vectors[vector] + bias[id] for every pair of the groups: each row is read
 * once and dotted with all its vectors, which are expected in cache.
 *
 * bias may be null. Requires: rows.dim == vectors.dim; ids < rows.rows; vectors < vectors.rows.
 */
SLIDEKIT_C_API slidekit_status slidekit_dot_groups_bf16(
    slidekit_groups_view groups,
    slidekit_const_matrix_bf16 rows,
    const float* bias,
    slidekit_const_matrix_bf16 vectors,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_groups_bf16_fast(
    slidekit_groups_view groups,
    slidekit_const_matrix_bf16 rows,
    const float* bias,
    slidekit_const_matrix_bf16 vectors,
    float* out);

/** The same with vectors in fp32, which are not rounded. */
SLIDEKIT_C_API slidekit_status slidekit_dot_groups_mixed_bf16(
    slidekit_groups_view groups,
    slidekit_const_matrix_bf16 rows,
    const float* bias,
    slidekit_const_matrix_f32 vectors,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_dot_groups_mixed_bf16_fast(
    slidekit_groups_view groups,
    slidekit_const_matrix_bf16 rows,
    const float* bias,
    slidekit_const_matrix_f32 vectors,
    float* out);

/** out[k] += sum_i input.values[i] * rows[input.ids[i]][k]: an embedding bag in fp32 over rows in
 * bf16. Order of sums: i ascending.
 *
 * Requires: ids < rows.rows; out has rows.dim elements and does not overlap the rows.
 */
SLIDEKIT_C_API slidekit_status slidekit_bag_rows_bf16(
    slidekit_sparse_view input,
    slidekit_const_matrix_bf16 rows,
    float* out);
SLIDEKIT_C_API slidekit_status slidekit_bag_rows_bf16_fast(
    slidekit_sparse_view input,
    slidekit_const_matrix_bf16 rows,
    float* out);

/* --- optimizer_bf16 -------------------------------------------------------- */

/** adam_row on weights in halves: the same bits as adam_row on the weights that they are halves of. */
SLIDEKIT_C_API slidekit_status slidekit_adam_row_split_bf16(
    slidekit_bf16* high,
    uint16_t* low,
    float* first,
    float* second,
    const float* gradient,
    size_t dim,
    const slidekit_adam_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adam_row_split_bf16_fast(
    slidekit_bf16* high,
    uint16_t* low,
    float* first,
    float* second,
    const float* gradient,
    size_t dim,
    const slidekit_adam_step* step);

/** sgd_row on weights in halves. */
SLIDEKIT_C_API slidekit_status slidekit_sgd_row_split_bf16(
    slidekit_bf16* high,
    uint16_t* low,
    const float* gradient,
    size_t dim,
    const slidekit_sgd_step* step);
SLIDEKIT_C_API slidekit_status slidekit_sgd_row_split_bf16_fast(
    slidekit_bf16* high,
    uint16_t* low,
    const float* gradient,
    size_t dim,
    const slidekit_sgd_step* step);

/** momentum_row on weights in halves. */
SLIDEKIT_C_API slidekit_status slidekit_momentum_row_split_bf16(
    slidekit_bf16* high,
    uint16_t* low,
    float* velocity,
    const float* gradient,
    size_t dim,
    const slidekit_momentum_step* step);
SLIDEKIT_C_API slidekit_status slidekit_momentum_row_split_bf16_fast(
    slidekit_bf16* high,
    uint16_t* low,
    float* velocity,
    const float* gradient,
    size_t dim,
    const slidekit_momentum_step* step);

/** adagrad_row on weights in halves. */
SLIDEKIT_C_API slidekit_status slidekit_adagrad_row_split_bf16(
    slidekit_bf16* high,
    uint16_t* low,
    float* state,
    const float* gradient,
    size_t dim,
    const slidekit_adagrad_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adagrad_row_split_bf16_fast(
    slidekit_bf16* high,
    uint16_t* low,
    float* state,
    const float* gradient,
    size_t dim,
    const slidekit_adagrad_step* step);

/** adam_groups on weights in halves: the same bits, in what flows back too, which takes the whole
 * weights and not their upper halves.
 *
 * Requires: all dims equal; one task at a time per row and per back matrix.
 */
SLIDEKIT_C_API slidekit_status slidekit_adam_groups_split_bf16(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adam_split_rows rows,
    slidekit_adam_bias bias,
    const slidekit_adam_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adam_groups_split_bf16_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adam_split_rows rows,
    slidekit_adam_bias bias,
    const slidekit_adam_step* step);

/** sgd_groups on weights in halves; bias may be null. */
SLIDEKIT_C_API slidekit_status slidekit_sgd_groups_split_bf16(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_split_rows rows,
    float* bias,
    const slidekit_sgd_step* step);
SLIDEKIT_C_API slidekit_status slidekit_sgd_groups_split_bf16_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_split_rows rows,
    float* bias,
    const slidekit_sgd_step* step);

/** momentum_groups on weights in halves. */
SLIDEKIT_C_API slidekit_status slidekit_momentum_groups_split_bf16(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_momentum_split_rows rows,
    slidekit_momentum_bias bias,
    const slidekit_momentum_step* step);
SLIDEKIT_C_API slidekit_status slidekit_momentum_groups_split_bf16_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_momentum_split_rows rows,
    slidekit_momentum_bias bias,
    const slidekit_momentum_step* step);

/** adagrad_groups on weights in halves. */
SLIDEKIT_C_API slidekit_status slidekit_adagrad_groups_split_bf16(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adagrad_split_rows rows,
    slidekit_adagrad_bias bias,
    const slidekit_adagrad_step* step);
SLIDEKIT_C_API slidekit_status slidekit_adagrad_groups_split_bf16_fast(
    slidekit_groups_view groups,
    const float* values,
    slidekit_const_matrix_f32 vectors,
    slidekit_matrix_f32 back,
    slidekit_adagrad_split_rows rows,
    slidekit_adagrad_bias bias,
    const slidekit_adagrad_step* step);

/** adam_row on weights in bf16: computed in fp32, then rounded as round_bf16_stochastic does, with
 * number k of the stream for element k. Moments are fp32. Give each row and step a stream of its
 * own.
 */
SLIDEKIT_C_API slidekit_status slidekit_adam_row_bf16(
    slidekit_bf16* weights,
    float* first,
    float* second,
    const float* gradient,
    size_t dim,
    const slidekit_adam_step* step,
    const slidekit_bit_stream* random);
SLIDEKIT_C_API slidekit_status slidekit_adam_row_bf16_fast(
    slidekit_bf16* weights,
    float* first,
    float* second,
    const float* gradient,
    size_t dim,
    const slidekit_adam_step* step,
    const slidekit_bit_stream* random);

/** sgd_row on weights in bf16, rounded in the same way. */
SLIDEKIT_C_API slidekit_status slidekit_sgd_row_bf16(
    slidekit_bf16* weights,
    const float* gradient,
    size_t dim,
    const slidekit_sgd_step* step,
    const slidekit_bit_stream* random);
SLIDEKIT_C_API slidekit_status slidekit_sgd_row_bf16_fast(
    slidekit_bf16* weights,
    const float* gradient,
    size_t dim,
    const slidekit_sgd_step* step,
    const slidekit_bit_stream* random);

/* --- mix ------------------------------------------------------------------- */

/** out[i] = fmix32(keys[i] ^ seed), the finaliser of MurmurHash3 (Appleby 2011).
 *
 * A permutation of the 32-bit numbers for each seed, so distinct keys stay distinct; its highest
 * bits are as good as its lowest. out may be keys.
 */
SLIDEKIT_C_API slidekit_status slidekit_mix_keys_u32(
    const uint32_t* keys,
    size_t count,
    uint32_t seed,
    uint32_t* out);
SLIDEKIT_C_API slidekit_status slidekit_mix_keys_u32_fast(
    const uint32_t* keys,
    size_t count,
    uint32_t seed,
    uint32_t* out);

/* --- doph ------------------------------------------------------------------ */

/** Keys of the set of ids, in any order, repeats allowed: keys[t], t < plan.l.
 *
 * scratch: doph_scratch_floats(plan.k, plan.l, plan.top) floats. Bit-equal on every level.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_doph_set_u32(
    const slidekit_doph_plan* plan,
    const uint32_t* ids,
    size_t nnz,
    uint32_t* keys,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_doph_set_u32_fast(
    const slidekit_doph_plan* plan,
    const uint32_t* ids,
    size_t nnz,
    uint32_t* keys,
    float* scratch);

/** Keys of a dense vector, taken as the set of the coordinates of its plan.top largest values.
 *
 * The choice is that of select_top_k: of equal values (ReLU zeros!) the lowest coordinates are
 * taken, NaN only where there are not enough numbers. scratch: doph_scratch_floats(plan.k, plan.l,
 * plan.top) floats. Requires: dim < 2^32.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_doph_f32(
    const slidekit_doph_plan* plan,
    const float* x,
    size_t dim,
    uint32_t* keys,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_doph_f32_fast(
    const slidekit_doph_plan* plan,
    const float* x,
    size_t dim,
    uint32_t* keys,
    float* scratch);

/** hash_doph of all rows, each less `centre` (rows.dim elements; null: nothing taken off), in one
 * rounding per coordinate. scratch: doph_scratch_floats(plan.k, plan.l, plan.top) + rows.dim
 * floats.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_doph_rows_f32(
    const slidekit_doph_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_doph_rows_f32_fast(
    const slidekit_doph_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);

/* --- pstable --------------------------------------------------------------- */

/** Keys of one vector of plan.dim elements: keys[t], t < plan.l. */
SLIDEKIT_C_API slidekit_status slidekit_hash_pstable_f32(
    const slidekit_pstable_plan* plan,
    const float* x,
    uint32_t* keys);
SLIDEKIT_C_API slidekit_status slidekit_hash_pstable_f32_fast(
    const slidekit_pstable_plan* plan,
    const float* x,
    uint32_t* keys);

/** Keys of all rows, each less `centre` (plan.dim elements; null: nothing taken off), in one
 * rounding per coordinate. scratch: hash_scratch_floats(plan.dim) floats. Requires: rows.dim ==
 * plan.dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_pstable_rows_f32(
    const slidekit_pstable_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_pstable_rows_f32_fast(
    const slidekit_pstable_plan* plan,
    slidekit_const_matrix_f32 rows,
    const float* centre,
    uint32_t* keys,
    slidekit_key_layout layout,
    float* scratch);

/* --- sparse_dwta ----------------------------------------------------------- */

/** Keys of one sparse vector, by its listed coordinates alone: keys[t], t < plan.l. scratch: a
 * number a bin, plan.k * plan.l. Requires: ids below plan.dim.
 */
SLIDEKIT_C_API slidekit_status slidekit_hash_dwta_sparse_f32(
    const slidekit_sparse_dwta_plan* plan,
    slidekit_sparse_view input,
    uint32_t* keys,
    uint64_t* scratch);
SLIDEKIT_C_API slidekit_status slidekit_hash_dwta_sparse_f32_fast(
    const slidekit_sparse_dwta_plan* plan,
    slidekit_sparse_view input,
    uint32_t* keys,
    uint64_t* scratch);

#ifdef __cplusplus
}
#endif

#endif
