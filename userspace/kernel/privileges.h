// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

#include "util/result.h"

namespace linkbal {

// An error that names the capabilities that `what` needs and this process does not have.
Status require_capabilities(std::string_view what);

} // namespace linkbal
