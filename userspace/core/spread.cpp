// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spread.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <queue>

namespace linkbal {

namespace {

// The ideal place of the next one of a kind; the circle is 2^32 long.
struct Due {
    uint64_t place;
    uint16_t kind;
    auto operator<=>(const Due&) const = default;
};

class Dealer {
  public:
    explicit Dealer(std::span<const uint32_t> counts)
        : counts_(counts.begin(), counts.end()), left_(counts.begin(), counts.end()),
          slots_(std::accumulate(counts.begin(), counts.end(), 0U)) {
        largest_ = counts.empty() ? 0 : *std::ranges::max_element(counts);
        for (size_t kind = 0; kind < counts.size(); ++kind) {
            enqueue(static_cast<uint16_t>(kind));
        }
    }

    std::vector<uint16_t> deal() {
        std::vector<uint16_t> sequence;
        sequence.reserve(slots_);
        while (slots_ > 0) {
            const uint16_t last = sequence.empty() ? none : sequence.back();
            sequence.push_back(take(urgent().value_or(last), last));
        }
        return sequence;
    }

  private:
    static constexpr uint16_t none = UINT16_MAX;

    void enqueue(uint16_t kind) {
        if (left_[kind] > 0) {
            const uint64_t dealt = counts_[kind] - left_[kind];
            due_.push({((2 * dealt + 1) << 31) / counts_[kind], kind});
        }
    }

    // A kind that must come now: with any other here, more than half of the rest would be of it.
    [[nodiscard]] std::optional<uint16_t> urgent() const {
        if (slots_ >= 2 * largest_) {
            return std::nullopt;
        }
        const auto most = std::ranges::max_element(left_);
        if (*most * 2 <= slots_) {
            return std::nullopt;
        }
        return static_cast<uint16_t>(most - left_.begin());
    }

    // The kind `wanted` if it is not `last`, else the one that is due first and is not `last`.
    uint16_t take(uint16_t wanted, uint16_t last) {
        std::vector<Due> passed;
        const auto skip = [&](const Due& due) {
            return wanted != last ? due.kind != wanted : due.kind == last;
        };
        while (due_.size() > 1 && skip(due_.top())) {
            passed.push_back(due_.top());
            due_.pop();
        }
        const uint16_t kind = due_.top().kind;
        due_.pop();
        std::ranges::for_each(passed, [&](const Due& due) { due_.push(due); });
        --left_[kind];
        --slots_;
        enqueue(kind);
        return kind;
    }

    std::vector<uint32_t> counts_;
    std::vector<uint32_t> left_;
    uint32_t slots_;
    uint32_t largest_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

// Dealing looks at the one before only, so the first and the last of the circle may be of one kind.
// Then the last one moves to the nearest place between two of other kinds; there is one, for the
// kind has no more than half of all places and nevertheless both ends.
void close_circle(std::vector<uint16_t>& sequence) {
    const uint16_t kind = sequence.back();
    if (sequence.front() != kind) {
        return;
    }
    const auto apart = [kind](uint16_t a, uint16_t b) { return a != kind && b != kind; };
    const auto found = std::ranges::adjacent_find(sequence.rbegin(), sequence.rend(), apart);
    if (found != sequence.rend()) {
        std::rotate(sequence.rbegin(), sequence.rbegin() + 1, found + 1);
    }
}

// One kind has half or more: it goes to even places, of which no two are further apart than 2, so
// that the others have one place each between them and are never neighbours.
std::vector<uint16_t> spread_around(uint16_t major, std::span<const uint32_t> counts,
                                    uint32_t total) {
    std::vector<uint32_t> others(counts.begin(), counts.end());
    others[major] = 0;
    const auto rest = spread(others);
    std::vector<uint16_t> sequence;
    sequence.reserve(total);
    const uint64_t share = counts[major];
    auto next = rest.begin();
    for (uint64_t place = 0; place < total; ++place) {
        const bool ours = (place + 1) * share / total != place * share / total;
        sequence.push_back(ours ? major : *next++);
    }
    return sequence;
}

} // namespace

std::vector<uint16_t> spread(std::span<const uint32_t> counts) {
    const uint32_t total = std::accumulate(counts.begin(), counts.end(), 0U);
    if (total == 0) {
        return {};
    }
    const auto major = std::ranges::max_element(counts);
    if (*major >= total - *major) {
        return spread_around(static_cast<uint16_t>(major - counts.begin()), counts, total);
    }
    auto sequence = Dealer(counts).deal();
    close_circle(sequence);
    return sequence;
}

} // namespace linkbal
