// Every kernel, and the views that they take. (isa.hpp stands apart: it needs more of the standard library
// than the code of a level may see.)
#pragma once

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/bf16.hpp>
#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dedup.hpp>
#include <slidekit/kernels/dense.hpp>
#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/hadamard.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/mix.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/kernels/optimizer_bf16.hpp>
#include <slidekit/kernels/projections.hpp>
#include <slidekit/kernels/pstable.hpp>
#include <slidekit/kernels/sparse_dwta.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/kernels/views.hpp>
