// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/facts.h"

#include <algorithm>

namespace linkbal {

const Interface* Facts::interface(std::string_view name) const {
    const auto found = std::ranges::find(interfaces, name, &Interface::name);
    return found == interfaces.end() ? nullptr : &*found;
}

} // namespace linkbal
