// SPDX-License-Identifier: GPL-2.0-or-later
// What has become of each command of an imported script: none is forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace linkbal {

enum class Fate : uint8_t {
    covered, // linkbal does it anyway, or it is nothing to do
    taken,   // it is in the configuration
    differs, // it is, but not quite the same
    left     // it is not
};

struct ImportedCommand {
    uint32_t line = 0;
    std::string text;
    Fate fate = Fate::covered;
    std::vector<std::string> remarks; // how, or why not; without repetition
};

class ImportLedger {
  public:
    // The same number for the same line and text, which is what a loop makes. Each turn may say another
    // fate: the last of the enum counts.
    size_t open(uint32_t line, const std::string& text);

    void judge(size_t command, Fate fate, std::string remark);
    void covered(size_t command, std::string how) { judge(command, Fate::covered, std::move(how)); }
    void taken(size_t command, std::string how) { judge(command, Fate::taken, std::move(how)); }
    void differs(size_t command, std::string how) { judge(command, Fate::differs, std::move(how)); }
    void left(size_t command, std::string why) { judge(command, Fate::left, std::move(why)); }

    // In the order of the script; what nobody has judged is left.
    [[nodiscard]] std::vector<ImportedCommand> take() &&;

  private:
    struct Entry {
        ImportedCommand command;
        bool judged = false;
    };
    std::vector<Entry> entries_;
    std::map<std::pair<uint32_t, std::string>, size_t> numbers_;
};

} // namespace linkbal
