// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "util/lock_file.h"

namespace linkbal {

// While it lives, RCU grace periods are expedited (/sys/kernel/rcu_expedited, kernel/ksysfs.c).
//
// Attaching a TCX program and updating a map of maps each wait for one grace period, with the
// rtnetlink lock held: about 14 ms apiece on an idle machine with HZ=250. Expedited, 250 attachments
// took 3 ms instead of 3.6 s. The price is one interrupt per CPU and grace period.
//
// One process of the machine does it at a time; the others find it done. The former value is kept in
// a file, so that a process that was killed in between leaves nothing behind for good: the next one
// puts back what the first one found. Where /sys is read-only, things are slower and that is all.
class ExpeditedRcu {
  public:
    ExpeditedRcu();
    ~ExpeditedRcu();
    ExpeditedRcu(const ExpeditedRcu&) = delete;
    ExpeditedRcu& operator=(const ExpeditedRcu&) = delete;

    // False: somebody else is at it, or it is not possible here.
    [[nodiscard]] bool active() const { return lock_.has_value(); }

  private:
    std::optional<LockFile> lock_; // empty: somebody else is expediting, or it is not possible
    std::string former_;
};

} // namespace linkbal
