// SPDX-License-Identifier: GPL-2.0-or-later
// The run-time directory /run/INSTANCE: who works on the instance, and what must be remembered.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "core/memory.h"
#include "util/lock_file.h"
#include "util/result.h"

namespace linkbal {

// One process at a time changes an instance. Leaves no directory behind that holds nothing but the
// lock.
class InstanceLock {
  public:
    // Waits up to `patience`; the error then names the process that holds the lock. Creates the
    // run-time directory, and refuses one that another program uses. Clears away what a killed
    // process left half-written.
    static Result<InstanceLock> acquire(const std::string& instance,
                                        std::chrono::milliseconds patience);
    ~InstanceLock();
    InstanceLock(InstanceLock&& other) noexcept
        : instance_(std::move(other.instance_)), file_(std::exchange(other.file_, std::nullopt)) {}
    InstanceLock& operator=(InstanceLock&&) = delete;
    InstanceLock(const InstanceLock&) = delete;
    InstanceLock& operator=(const InstanceLock&) = delete;

  private:
    InstanceLock(std::string instance, LockFile file)
        : instance_(std::move(instance)), file_(std::move(file)) {}
    std::string instance_;
    std::optional<LockFile> file_; // empty: moved from
};

// One daemon at a time for an instance, for as long as it runs. Error: the process that has it.
Result<LockFile> lock_for_daemon(const std::string& instance);

// Whoever waits without a daemon for a change to be confirmed has this, for as long as it waits.
Result<LockFile> lock_for_waiting(const std::string& instance);
// That process, for people; empty: nobody waits, or a daemon does.
std::optional<std::string> waiting_process(const std::string& instance);

// Where changes of what is remembered can be seen: a file that comes there, or one that goes.
std::string run_directory(const std::string& instance);

// Where a running daemon takes requests (core/control.h): a stream socket of the file system.
std::string control_path(const std::string& instance);

// An empty Memory where nothing has been applied.
Result<Memory> read_memory(const std::string& instance);
// Atomic: readers and a crash see the old or the new one.
Status write_memory(const std::string& instance, const Memory& memory);
// Nothing has been applied any more; to be called with the lock held.
Status remove_memory(const std::string& instance);

// Identifies the network namespace of this process.
Result<uint64_t> network_namespace();

} // namespace linkbal
