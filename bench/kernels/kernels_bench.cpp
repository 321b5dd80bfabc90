// Every kernel of the list at each of its shapes: on all levels of the machine, beside its peers
// and, where rows come from memory, beside a probe that only moves the same rows.
//
// All that runs at one shape runs in alternation on the same arguments, each checked against the
// scalar level before. Names: <kernel>_<dtype>/<heat>/<shape>/<who>. scripts/bench.sh kernels runs
// this and prints the table.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/isa.hpp>

#include "arguments.hpp"
#include "compare.hpp"
#include "kernel_calls.hpp"
#include "machine.hpp"
#include "peers/lists.hpp"

namespace slidekit::bench {
namespace {

using kernels::Isa;
using kernels::calls::Agreement;
using kernels::calls::Heat;
using kernels::calls::Work;

struct Options {
    std::regex filter{""};
    std::string json;
    bool quick = false;
    bool list = false;
};

// Seconds: of one run, and of all runs of one function at one shape.
struct Effort {
    double run;
    double all;
    int repetitions;
};
constexpr Effort kFull{.run = 0.02, .all = 0.5, .repetitions = 9};
constexpr Effort kQuick{.run = 0.004, .all = 0.05, .repetitions = 3};

// One report of many runs: the library would begin a new one at each.
class Reporter : public benchmark::BenchmarkReporter {
public:
    explicit Reporter(const std::string& json) {
        if (json.empty()) {
            inner_ =
                std::make_unique<benchmark::ConsoleReporter>(benchmark::ConsoleReporter::OO_None);
        } else {
            file_.open(json);
            inner_ = std::make_unique<benchmark::JSONReporter>();
            inner_->SetOutputStream(&file_);
        }
    }
    [[nodiscard]] bool is_good() const { return file_.good(); }
    bool ReportContext(const Context& context) override {
        if (!begun_) inner_->ReportContext(context);
        begun_ = true;
        return true;
    }
    // Of the runs of one function: all for the table, which takes its medians, one to be read.
    void ReportRuns(const std::vector<Run>& runs) override {
        std::vector<Run> kept;
        for (const Run& run : runs) {
            const bool is_single = run.run_type == Run::RT_Iteration;
            if (file_.is_open() ? is_single : run.aggregate_name == "median" || run.repetitions < 2)
                kept.push_back(run);
        }
        inner_->ReportRuns(kept);
    }
    void finish() {
        if (begun_) inner_->Finalize();
    }

private:
    std::ofstream file_;
    std::unique_ptr<benchmark::BenchmarkReporter> inner_;
    bool begun_ = false;
};

// What bounds a unit of a shape's work, and where its rows come from.
struct Bounds {
    double bytes_seconds;
    double flops_seconds;
    std::string label;
};

// A function at a shape, ready to run.
struct Contender {
    std::string who;
    std::function<void()> prepare;
    std::function<void(benchmark::State&)> loop;
    Work work;  // of one call
    double call_seconds;
    double error;
    std::string complaint;
};

double seconds_of(const std::function<void()>& run) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    run();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

void count(benchmark::State& state, const Contender& one, const Bounds& bounds) {
    using benchmark::Counter;
    constexpr auto kRate = Counter::kIsIterationInvariantRate;
    state.counters["ns_unit"] =
        Counter(one.work.items * 1e-9, static_cast<Counter::Flags>(kRate | Counter::kInvert));
    state.counters["bytes/s"] = Counter(one.work.bytes, kRate);
    state.counters["flops/s"] = Counter(one.work.flops, kRate);
    const double limit = std::max(bounds.bytes_seconds, bounds.flops_seconds);
    state.counters["limit_fraction"] = Counter(limit * one.work.items, kRate);
    state.counters["bytes_limit_ns"] = bounds.bytes_seconds * 1e9;
    state.counters["flops_limit_ns"] = bounds.flops_seconds * 1e9;
    state.counters["error"] = one.error;
    state.SetLabel(bounds.label);
}

// Sets of arguments at one shape, and the calls on them.
template <class Entry>
struct Sets {
    Arguments arguments;
    Work work;
    std::vector<decltype(Entry::call(std::declval<Arguments&>(), nullptr))> calls;
    std::size_t next = 0;

    Sets(Tables& tables, const std::size_t* sizes) : arguments(tables), work(Entry::work(sizes)) {}

    void add(const std::size_t* sizes, bool cold) {
        arguments.begin_set(cold);
        calls.push_back(Entry::call(arguments, sizes));
    }
    std::size_t take() {
        const std::size_t taken = next;
        next = next + 1 == calls.size() ? 0 : next + 1;
        return taken;
    }
};

class Bench {
public:
    Bench(const Options& options, Reporter& reporter)
        : options_(options),
          effort_(options.quick ? kQuick : kFull),
          reporter_(reporter),
          caches_(read_caches()),
          limits_(measure_limits(caches_)),
          active_(kernels::active_isa()) {
        describe();
    }

    template <class Entry>
    void run_kernel() {
        for (const auto& shape : Entry::shapes) run_shape<Entry>(shape);
    }
    [[nodiscard]] std::size_t shapes() const { return shapes_; }

private:
    template <class Entry, class Shape>
    void run_shape(const Shape& shape) {
        const bool cold = shape.heat == Heat::cold;
        std::string text = shape.text;
        std::replace(text.begin(), text.end(), ' ', ',');
        const std::string name =
            std::string(Entry::name) + "_" + Entry::dtype + (cold ? "/cold/" : "/warm/") + text;
        if (!std::regex_search(name, options_.filter)) return;
        ++shapes_;
        if (options_.list) {
            std::cout << name << '\n';
            return;
        }
        std::cerr << "bench: " << name << '\n';
        Sets<Entry> sets(tables_, shape.sizes);
        sets.add(shape.sizes, cold);
        const std::size_t wanted = set_count(sets.arguments, sets.work, cold);
        const bool shared = cold || sets.arguments.is_stamped();
        while (sets.calls.size() < wanted) sets.add(shape.sizes, shared);

        // What would take many seconds for all rows of a table that is read from front to back
        // takes as long for each of a part of them.
        Tables tables_of_part;
        std::unique_ptr<Sets<Entry>> part;
        std::vector<Contender> contenders;
        std::vector<std::string> slow;
        if (cold && sets.arguments.ids_of(0).bound == 0) {
            auto sizes = part_of(shape.sizes);
            part = std::make_unique<Sets<Entry>>(tables_of_part, sizes.data());
            part->add(sizes.data(), false);
            const double scale = sets.work.items / part->work.items;
            for (Contender& one : contenders_of(*part, {})) {
                if (one.call_seconds * scale < kSlowSeconds) continue;
                slow.push_back(one.who);
                contenders.push_back(std::move(one));
            }
        }
        for (Contender& one : contenders_of(sets, slow)) contenders.push_back(std::move(one));

        const double items = sets.work.items;
        Bounds bounds{sets.work.bytes / stream_limit(sets.arguments) / items,
                      sets.work.flops / flops_limit(Entry::dtype) / items,
                      cold ? source(sets.arguments) : footprint(sets.arguments)};
        if (cold && !sets.arguments.tables().empty()) {
            for (const Fetch fetch : {Fetch::into_l1, Fetch::into_l2})
                contenders.push_back(probe_of(sets, fetch));
            const double best =
                std::min(contenders.rbegin()[0].call_seconds, contenders.rbegin()[1].call_seconds);
            bounds.bytes_seconds = best / items;
        }
        alternate(name, contenders, bounds);
        kernels::select_isa(active_);
    }

    static constexpr double kSlowSeconds = 0.25;

    template <std::size_t kSizes>
    static std::array<std::size_t, kSizes> part_of(const std::size_t (&all)[kSizes]) {
        std::array<std::size_t, kSizes> sizes;
        std::copy(all, all + kSizes, sizes.begin());
        std::size_t& largest = *std::max_element(sizes.begin(), sizes.end());
        largest = std::min<std::size_t>(largest, 2048);
        return sizes;
    }

    // Cold: until the ids of all sets have gone over a whole table. Warm: what fits half of L1; but
    // kernels that choose (no arithmetic) are no measure without surprises, and get a quarter of
    // L2.
    std::size_t set_count(const Arguments& arguments, const Work& work, bool cold) const {
        constexpr std::size_t kMostCold = 4096;
        constexpr std::size_t kMostWarm = 16;
        constexpr std::size_t kMostChosen = 256;
        const Arguments::Ids& ids = arguments.ids_of(0);
        if (cold)
            return std::clamp<std::size_t>(
                ids.bound / std::max<std::size_t>(ids.count, 1), 1, kMostCold);
        if (arguments.is_stamped()) return kMostWarm;
        const bool chooses = work.flops == 0;
        const std::size_t room = chooses ? caches_.l2_bytes / 4 : caches_.l1_bytes / 2;
        return std::clamp<std::size_t>(room / std::max<std::size_t>(arguments.bytes(), 1),
                                       1,
                                       chooses ? kMostChosen : kMostWarm);
    }

    // All but those in `left_out`, each compared with the scalar level: where that is left out,
    // with the active one, which has been compared with it on a part of the rows.
    template <class Entry>
    std::vector<Contender> contenders_of(Sets<Entry>& sets,
                                         const std::vector<std::string>& left_out) {
        using Function = std::decay_t<decltype(Entry::function)>;
        const auto is_left_out = [&](std::string_view who) {
            return std::find(left_out.begin(), left_out.end(), who) != left_out.end();
        };
        const auto pieces = sets.arguments.outputs();
        const Bytes before = read_pieces(pieces);
        kernels::select_isa(is_left_out("scalar") ? active_ : Isa::scalar);
        const Outcome expected = outcome_of(sets.calls[0], Entry::function, pieces, before);
        std::vector<Contender> all;
        const auto add = [&](std::string who, Isa isa, Function function, double tolerance) {
            if (is_left_out(who)) return;
            Contender one;
            one.who = std::move(who);
            one.work = sets.work;
            one.prepare = [isa] { kernels::select_isa(isa); };
            one.prepare();
            Outcome got;
            one.call_seconds =
                seconds_of([&] { got = outcome_of(sets.calls[0], function, pieces, before); });
            one.error = error_between(pieces, expected, got);
            if (!(one.error <= tolerance)) one.complaint = "differs from the scalar level";
            one.loop = [&sets, function](benchmark::State& state) {
                for (auto _ : state) call_one(sets.calls[sets.take()], function);
            };
            if (sets.arguments.is_stamped()) {
                one.loop = [&sets, function, pieces, before](benchmark::State& state) {
                    for (auto _ : state) {
                        if (sets.next == 0) {
                            state.PauseTiming();
                            write_pieces(pieces, before);
                            state.ResumeTiming();
                        }
                        call_one(sets.calls[sets.take()], function);
                    }
                };
            }
            all.push_back(std::move(one));
        };
        constexpr double kNear = 1e-3;
        constexpr double kHalf = 1e-2;  // half floats round to 2^-8
        const double near = std::string_view(Entry::dtype) == "bf16" ? kHalf : kNear;
        for (const Isa isa : kernels::kIsaLevels) {
            if (!kernels::is_supported(isa)) continue;
            add(std::string(kernels::isa_name(isa)),
                isa,
                Entry::function,
                Entry::agreement == Agreement::near ? near : 0);
        }
        for (const PeerList& list : all_peers()) {
            for (std::size_t i = 0; i < list.count; ++i) {
                const Peer& peer = list.peers[i];
                if (std::string_view(peer.kernel) != Entry::name) continue;
                add(peer.who,
                    active_,
                    reinterpret_cast<Function>(peer.function),
                    peer.has_same_results ? near : std::numeric_limits<double>::infinity());
            }
        }
        write_pieces(pieces, before);
        return all;
    }

    template <class Call, class Function>
    static void call_one(const Call& call, Function function) {
        if constexpr (std::is_void_v<decltype(call(function))>) {
            call(function);
        } else {
            benchmark::DoNotOptimize(call(function));
        }
        benchmark::ClobberMemory();
    }

    // Moves what a call moves: the rows of its ids, or the tables from front to back.
    template <class Entry>
    Contender probe_of(Sets<Entry>& sets, Fetch fetch) {
        const auto run = [&sets, fetch, tables = sets.arguments.tables()] {
            const Arguments::Ids& ids = sets.arguments.ids_of(sets.take());
            if (ids.bound > 0) {
                probe_rows(tables, ids.ids, ids.count, fetch);
            } else {
                probe_sweep(tables);
            }
        };
        Contender probe;
        probe.who = fetch == Fetch::into_l1 ? "probe" : "probe-l2";
        probe.work = sets.work;
        probe.prepare = [] {};
        probe.error = 0;
        probe.loop = [run](benchmark::State& state) {
            for (auto _ : state) run();
        };
        std::vector<double> times;
        for (int i = 0; i < 9; ++i) times.push_back(seconds_of([&] { run(); }));
        std::nth_element(times.begin(), times.begin() + 4, times.end());
        probe.call_seconds = times[4];
        return probe;
    }

    void alternate(const std::string& name,
                   const std::vector<Contender>& contenders,
                   const Bounds& bounds) {
        benchmark::ClearRegisteredBenchmarks();
        for (const Contender& one : contenders) {
            const auto run = [&one, &bounds](benchmark::State& state) {
                if (!one.complaint.empty()) {
                    state.SkipWithError(one.complaint.c_str());
                    return;
                }
                one.prepare();
                one.loop(state);
                count(state, one, bounds);
            };
            auto* registered = benchmark::RegisterBenchmark((name + "/" + one.who).c_str(), run);
            const double each = std::max(one.call_seconds, effort_.run);
            registered->Repetitions(
                std::clamp(static_cast<int>(effort_.all / each), 1, effort_.repetitions));
            if (one.call_seconds > effort_.run) {
                registered->Iterations(1);
            } else {
                registered->MinTime(effort_.run);
            }
        }
        benchmark::RunSpecifiedBenchmarks(&reporter_);
    }

    double flops_limit(std::string_view dtype) const {
        if (dtype == "i8") return limits_.i8_flops;
        return dtype == "bf16" ? limits_.bf16_flops : limits_.f32_flops;
    }
    double stream_limit(const Arguments& arguments) const {
        const std::size_t bytes = arguments.bytes();
        if (bytes <= caches_.l1_bytes) return limits_.l1_bytes;
        if (bytes <= caches_.l2_bytes) return limits_.l2_bytes;
        return bytes <= caches_.l3_bytes ? limits_.l3_bytes : limits_.memory_bytes;
    }
    std::string footprint(const Arguments& arguments) const {
        const std::size_t bytes = arguments.bytes();
        if (bytes <= caches_.l1_bytes) return "L1";
        return bytes <= caches_.l2_bytes ? "L2" : "L3";
    }
    // A table that the last cache holds is read from there, however cold its rows.
    std::string source(const Arguments& arguments) const {
        std::size_t bytes = 0;
        for (const ProbedTable& table : arguments.tables()) bytes += table.bytes;
        const std::string how = arguments.ids_of(0).bound > 0 ? "rows come" : "streamed";
        return how + (bytes <= caches_.l3_bytes ? " from L3" : " from memory");
    }

    void describe() const {
        const auto add = [](const char* key, const std::string& value) {
            benchmark::AddCustomContext(key, value);
        };
        const auto giga = [](double rate) { return std::to_string(std::lround(rate * 1e-9)); };
        add("cpu", cpu_name());
        add("level", std::string(kernels::isa_name(active_)));
        add("l1_bytes", std::to_string(caches_.l1_bytes));
        add("l2_bytes", std::to_string(caches_.l2_bytes));
        add("l3_bytes", std::to_string(caches_.l3_bytes));
        add("huge_pages", huge_page_mode());
        add("nodes", std::to_string(numa_nodes()));
        add("threads", "1");
        add("mode", options_.quick ? "quick" : "full");
        add("compiler", SLIDEKIT_BENCH_COMPILER);
        add("flags", SLIDEKIT_BENCH_FLAGS);
        add("peers", describe_peers());
        add("limit_l1_gb_s", giga(limits_.l1_bytes));
        add("limit_l2_gb_s", giga(limits_.l2_bytes));
        add("limit_l3_gb_s", giga(limits_.l3_bytes));
        add("limit_memory_gb_s", giga(limits_.memory_bytes));
        add("limit_f32_gflop_s", giga(limits_.f32_flops));
        add("limit_bf16_gflop_s", giga(limits_.bf16_flops));
        add("limit_i8_gop_s", giga(limits_.i8_flops));
    }

    const Options& options_;
    Effort effort_;
    Reporter& reporter_;
    Caches caches_;
    Limits limits_;
    Isa active_;
    Tables tables_;
    std::size_t shapes_ = 0;
};

[[noreturn]] void refuse(const std::string& message) {
    std::cerr << "kernels_bench: " << message
              << "\nusage: kernels_bench [--filter RE] [--json FILE] [--quick] [--list] "
                 "[--context KEY=VALUE]...\n";
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string flag = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 == argc) refuse(flag + " needs a value");
            return argv[++i];
        };
        if (flag == "--quick") {
            options.quick = true;
        } else if (flag == "--list") {
            options.list = true;
        } else if (flag == "--json") {
            options.json = value();
        } else if (flag == "--filter") {
            const std::string pattern = value();
            try {
                options.filter = std::regex(pattern);
            } catch (const std::regex_error&) {
                refuse("--filter: \"" + pattern + "\" is no regular expression");
            }
        } else if (flag == "--context") {
            const std::string pair = value();
            const std::size_t at = pair.find('=');
            if (at == std::string::npos) refuse("--context: \"" + pair + "\" has no =");
            benchmark::AddCustomContext(pair.substr(0, at), pair.substr(at + 1));
        } else {
            refuse("unknown flag \"" + flag + "\"");
        }
    }
    return options;
}

int run(const Options& options) {
    Reporter reporter(options.json);
    if (!reporter.is_good()) {
        std::cerr << "kernels_bench: cannot write " << options.json << '\n';
        return 1;
    }
    flush_denormals();
    Bench bench(options, reporter);
    kernels::calls::for_each_kernel(
        [&](auto entry) { bench.run_kernel<std::remove_cvref_t<decltype(entry)>>(); });
    reporter.finish();
    if (bench.shapes() > 0) return 0;
    std::cerr << "kernels_bench: no shape has a name that --filter matches; --list lists them\n";
    return 1;
}

}  // namespace
}  // namespace slidekit::bench

int main(int argc, char** argv) {
    const slidekit::bench::Options options = slidekit::bench::parse(argc, argv);
    // The only way to ask for alternation.
    char interleave[] = "--benchmark_enable_random_interleaving=true";
    char* flags[] = {argv[0], interleave, nullptr};
    int flag_count = 2;
    benchmark::Initialize(&flag_count, flags);
    return slidekit::bench::run(options);
}
