// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/table_names.h"
#include "support/catch.h"

using namespace linkbal;

TEST_CASE("names of tables as iproute2 reads them") {
    const std::vector<std::pair<std::string, std::vector<TableName>>> cases{
        {"", {}},
        {"# comment\n\n   \n#255\tlocal\n", {}},
        {"255\tlocal\n254\tmain\n0\tunspec\n", {{255, "local"}, {254, "main"}, {0, "unspec"}}},
        {"  10   velox1   # the first\n", {{10, "velox1"}}},
        {"10 velox1", {{10, "velox1"}}},
        {"0x1f4 hex\r\n", {{500, "hex"}}},
        {"4294967295 last\n4294967296 beyond\n", {{4294967295U, "last"}}},
        {"ten velox1\n-1 less\n10\n10x velox1\n", {}},
        {"1 one\n1 again\n", {{1, "one"}, {1, "again"}}},
    };
    for (const auto& [text, names] : cases) {
        INFO(text);
        CHECK(parse_table_names(text) == names);
    }
}

TEST_CASE("our file says whose it is, and reads back as it was written") {
    const std::vector<TableName> names{{11, "velox2"}, {10, "velox1"}, {300, "velox"}};
    const auto text = table_names_text(names);
    CHECK(text == "# Routing tables of linkbal; `linkbal down` removes this file.\n"
                  "11\tvelox2\n10\tvelox1\n300\tvelox\n");
    CHECK(parse_table_names(text) == names);
    CHECK(parse_table_names(table_names_text({})).empty());
}
