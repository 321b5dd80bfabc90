// The handler sets a flag and gives the signals their own meaning back.
#include "stop_signals.hpp"

#include <array>
#include <atomic>
#include <csignal>

namespace slidekit::cli {

namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM};
std::atomic<int> caught_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void reset() {
    for (const int signal : kSignals) {
        struct sigaction now {};
        if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_IGN)
            std::signal(signal, SIG_DFL);
    }
}

void note(int signal) {
    caught_signal = signal;
    reset();
}

}  // namespace

StopSignals::StopSignals() {
    caught_signal = 0;
    for (const int signal : kSignals) {
        struct sigaction now {};
        if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler == SIG_IGN) continue;
        struct sigaction ours {};
        ours.sa_handler = note;
        ours.sa_flags = SA_RESTART;
        ::sigaction(signal, &ours, nullptr);
    }
    std::signal(SIGXFSZ, SIG_IGN);
}

StopSignals::~StopSignals() { reset(); }

int StopSignals::caught() noexcept { return caught_signal; }

}  // namespace slidekit::cli
