# SPDX-License-Identifier: Apache-2.0
#
# Starts the checks that are named, in the order in which they are named. Each waits for its turn, and
# fails for itself. .ci/check.sh calls this.

.PHONY: $(MAKECMDGOALS)
$(MAKECMDGOALS):
	@+./run in-check $@
