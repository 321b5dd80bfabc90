/* A C99 program against the installed kernels: rows ranked by their dot, and a call that is refused. */
#include <slidekit/kernels.h>
#include <stdio.h>

int main(void) {
    const float weights[2][4] = {{1, 0, 2, 0}, {0, 3, 0, -1}};
    const float x[4] = {1, 1, 1, 1};
    const uint32_t ids[3] = {1, 0, 1};
    const uint32_t beyond[1] = {2};
    slidekit_const_matrix_f32 rows;
    float out[3] = {0, 0, 0};

    rows.data = &weights[0][0];
    rows.rows = 2;
    rows.dim = 4;
    rows.stride = 4;
    if (slidekit_dot_rows_f32(x, rows, ids, 3, out) != SLIDEKIT_OK) return 1;
    if (out[0] != 2.0f || out[1] != 3.0f || out[2] != 2.0f) return 2;
    if (slidekit_dot_rows_f32(x, rows, beyond, 1, out) != SLIDEKIT_OUT_OF_RANGE) return 3;
    printf("slidekit-kernels %u on %s: %s\n",
           (unsigned)slidekit_kernels_version(),
           slidekit_isa_name(slidekit_active_isa()),
           slidekit_status_text(SLIDEKIT_OUT_OF_RANGE));
    return 0;
}
