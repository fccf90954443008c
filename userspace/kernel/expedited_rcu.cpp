// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/expedited_rcu.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/file.h"

namespace linkbal {

namespace {

constexpr auto knob = "/sys/kernel/rcu_expedited";
// Not in an instance's directory: the knob is the whole machine's.
constexpr auto keeper = "/run/linkbal-rcu_expedited";

bool write_knob(const std::string& value) {
    const Fd file(::open(knob, O_WRONLY | O_CLOEXEC));
    return file && ::write(file.get(), value.data(), value.size()) >= 0;
}

} // namespace

ExpeditedRcu::ExpeditedRcu() {
    auto lock = LockFile::acquire(keeper, std::chrono::milliseconds(0));
    if (!lock) {
        return;
    }
    // Not before the lock is held: until then the value may be another process's doing.
    const auto present = read_file(knob);
    if (!present) {
        lock->remove();
        return;
    }
    // Content means that a process died here: the knob's value is then that process's doing, and what is
    // written stays, since it is all that is known of the value before.
    const std::string left_behind = lock->read();
    former_ = left_behind.empty() ? present->substr(0, present->find('\n')) : left_behind;
    if ((!left_behind.empty() || lock->write(former_)) && write_knob("1")) {
        lock_ = *std::move(lock);
    } else {
        lock->remove();
    }
}

ExpeditedRcu::~ExpeditedRcu() {
    // Where the value can't be put back, the file stays and the next one tries again.
    if (lock_ && write_knob(former_)) {
        lock_->remove();
    }
}

} // namespace linkbal
