// Pools over an arena of jemalloc whose extents are blocks of our regions, or over the standard
// library's pools.
//
// jemalloc is found through weak symbols: a library that is linked with Debian's cannot be loaded
// into a running program (its thread-local storage is static). The few declarations that are needed
// are repeated here, as they are since jemalloc 5.0.
#include <slidekit/system/pool.hpp>

#include <sys/types.h>

#include <algorithm>
#include <bit>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

#include "chunks.hpp"

extern "C" {
// NOLINTBEGIN(readability-identifier-naming): jemalloc's names
[[gnu::weak, gnu::visibility("default")]] void* mallocx(std::size_t size, int flags);
[[gnu::weak, gnu::visibility("default")]] void sdallocx(void* block, std::size_t size, int flags);
[[gnu::weak, gnu::visibility("default")]] int mallctl(const char* name,
                                                      void* old_value,
                                                      std::size_t* old_size,
                                                      void* new_value,
                                                      std::size_t new_size);
// NOLINTEND(readability-identifier-naming)
}

namespace slidekit::system {

namespace {

using detail::Chunks;

// extent_hooks_t
struct ExtentHooks {
    using Alloc = void* (*)(ExtentHooks*, void*, std::size_t, std::size_t, bool*, bool*, unsigned);
    using Split =
        bool (*)(ExtentHooks*, void*, std::size_t, std::size_t, std::size_t, bool, unsigned);
    using Merge = bool (*)(ExtentHooks*, void*, std::size_t, void*, std::size_t, bool, unsigned);
    Alloc alloc = nullptr;
    // Absent ones are refusals: extents are kept for reuse, and none of their pages are purged,
    // which would break up huge ones.
    void (*dalloc)() = nullptr;
    void (*destroy)() = nullptr;
    void (*commit)() = nullptr;
    void (*decommit)() = nullptr;
    void (*purge_lazy)() = nullptr;
    void (*purge_forced)() = nullptr;
    Split split = nullptr;
    Merge merge = nullptr;
};

class JemallocArena {
public:
    explicit JemallocArena(Chunks& chunks) : hooks_{.arena = this}, chunks_(chunks) {
        ExtentHooks* hooks = &hooks_.table;
        unsigned index = 0;
        std::size_t size = sizeof index;
        if (mallctl("arenas.create", &index, &size, static_cast<void*>(&hooks), sizeof hooks) != 0)
            return;
        index_ = index;
        // Freed extents would wait 10 s as "dirty", where a small request does not take from a
        // large one: the pool would grow meanwhile. Nothing is purged here, so waiting has no use.
        ssize_t decay_ms = 0;
        for (const char* what : {"dirty_decay_ms", "muzzy_decay_ms"})
            mallctl(name(what).c_str(), nullptr, nullptr, &decay_ms, sizeof decay_ms);
    }
    ~JemallocArena() {
        if (index_) mallctl(name("destroy").c_str(), nullptr, nullptr, nullptr, 0);
    }
    JemallocArena(const JemallocArena&) = delete;
    JemallocArena& operator=(const JemallocArena&) = delete;

    [[nodiscard]] bool usable() const noexcept { return index_.has_value(); }

    // Null where a region was refused.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) const {
        return mallocx(std::max<std::size_t>(bytes, 1), flags(alignment));
    }
    void free(void* block, std::size_t bytes, std::size_t alignment) const {
        sdallocx(block, std::max<std::size_t>(bytes, 1), flags(alignment));
    }
    [[nodiscard]] std::string refusal() const {
        const std::lock_guard lock(mutex_);
        return refusal_;
    }

private:
    // jemalloc hands the table back to its functions.
    struct Hooks {
        ExtentHooks table = {.alloc = extent_alloc,
                             .split = [](auto...) { return false; },
                             .merge = [](auto...) { return false; }};
        JemallocArena* arena;
    };

    // This arena, with the alignment, and without a thread's cache: that one would hand out what
    // was cached for another arena.
    [[nodiscard]] int flags(std::size_t alignment) const noexcept {
        constexpr int kNoCache = 1 << 8;
        return std::countr_zero(alignment) | kNoCache | (static_cast<int>(*index_) + 1) << 20;
    }
    [[nodiscard]] std::string name(std::string_view what) const {
        return fmt::format("arena.{}.{}", *index_, what);
    }

    static void* extent_alloc(ExtentHooks* hooks,
                              void* wanted,
                              std::size_t bytes,
                              std::size_t alignment,
                              bool* zero,
                              bool* commit,
                              unsigned /*arena*/) noexcept {
        JemallocArena* const self = reinterpret_cast<Hooks*>(hooks)->arena;
        if (wanted != nullptr) return nullptr;  // to grow in place
        try {
            void* const block = self->chunks_.take(bytes, alignment);
            *zero = *commit = true;
            return block;
        } catch (const std::exception& error) {
            const std::lock_guard lock(self->mutex_);
            self->refusal_ = error.what();
            return nullptr;
        }
    }

    Hooks hooks_;
    Chunks& chunks_;
    std::optional<unsigned> index_;
    mutable std::mutex mutex_;
    std::string refusal_ = "no allocation can be so large";  // the last one
};

}  // namespace

std::string_view pool_allocator_name(PoolAllocator allocator) noexcept {
    return allocator == PoolAllocator::jemalloc ? "jemalloc" : "standard";
}

PoolAllocator best_pool_allocator() noexcept {
    const bool there = mallocx != nullptr && sdallocx != nullptr && mallctl != nullptr;
    return there ? PoolAllocator::jemalloc : PoolAllocator::standard;
}

struct Pool::State {
    explicit State(RegionSpec chunk) : tag(chunk.tag), chunks(std::move(chunk)) {}

    std::string tag;
    Chunks chunks;
    std::optional<JemallocArena> arena;  // one of the two
    std::optional<std::pmr::synchronized_pool_resource> pools;
};

Pool::Pool(RegionSpec chunk, PoolAllocator allocator)
    : state_(std::make_unique<State>(std::move(chunk))) {
    if (allocator == PoolAllocator::jemalloc && best_pool_allocator() == PoolAllocator::jemalloc) {
        state_->arena.emplace(state_->chunks);
        if (state_->arena->usable()) return;
        state_->arena.reset();
    }
    state_->pools.emplace(&state_->chunks);
}

Pool::~Pool() = default;

PoolAllocator Pool::allocator() const noexcept {
    return state_->arena ? PoolAllocator::jemalloc : PoolAllocator::standard;
}

std::vector<RegionReport> Pool::reports() const { return state_->chunks.reports(); }

void* Pool::do_allocate(std::size_t bytes, std::size_t alignment) {
    if (!state_->arena) return state_->pools->allocate(bytes, alignment);
    void* const block = state_->arena->allocate(bytes, alignment);
    if (block == nullptr)
        throw Error(ErrorCode::memory,
                    state_->tag,
                    fmt::format("{} bytes for a pool: {}", bytes, state_->arena->refusal()));
    return block;
}

void Pool::do_deallocate(void* block, std::size_t bytes, std::size_t alignment) {
    if (state_->arena) {
        state_->arena->free(block, bytes, alignment);
    } else {
        state_->pools->deallocate(block, bytes, alignment);
    }
}

}  // namespace slidekit::system
