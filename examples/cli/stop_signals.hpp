// SIGINT and SIGTERM as a wish that the training asks for after each step. A second signal ends the
// program at once.
#pragma once

namespace slidekit::cli {

/// While one stands, signals are taken; one at a time. A signal that is ignored stays so. A file
/// size limit (SIGXFSZ) becomes an error of write(), as a full disk is.
class StopSignals {
public:
    StopSignals();
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    /// The signal that came; 0: none.
    [[nodiscard]] static int caught() noexcept;
};

}  // namespace slidekit::cli
