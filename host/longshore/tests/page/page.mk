# The page of `longshore dev`, in a real browser.

PAGE := host/longshore/tests/page

.PHONY: test-page page-screenshots

##@ Look closer
test-page: guest $(PAGE)/node_modules/.installed ## drive the page of `longshore dev` in Debian's Chromium, and look for what a screen reader would miss
	$(TEST_HOST)
	LONGSHORE_BINARY=$(abspath $(TARGET)/debug/longshore) LONGSHORE_ORDER=$(abspath $(COMPONENT)) \
		node --test $(PAGE)/page.test.js

SHOTS := $(abspath $(TARGET))/page-screenshots

page-screenshots: ## the same, and write the pictures of the book anew
	mkdir -p $(SHOTS)
	LONGSHORE_SCREENSHOTS=$(SHOTS) $(MAKE) test-page
	for width in 400 900 1600; do cp $(SHOTS)/page-now-$$width-light.png docs/images/page-now-$$width.png; done
	cp $(SHOTS)/page-now-1600-dark.png docs/images/page-now-1600-dark.png
	cp $(SHOTS)/page-message-900-light.png docs/images/page-message-900.png

$(PAGE)/node_modules/.installed: $(PAGE)/package-lock.json
	@command -v chromium > /dev/null || { apt-get -q update && apt-get -qy install --no-install-recommends chromium fonts-dejavu-core; } \
		|| { echo 'install Debian'"'"'s package chromium, or run this as root' >&2; exit 1; }
	cd $(PAGE) && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@
