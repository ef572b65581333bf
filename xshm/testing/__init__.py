r"""A pytest plugin: displays for GUI tests, and what is left of a test that failed.

    pip install 'xshm[pytest]'

    def test_login(xshm_display, screen):
        with xshm_display.launch("./login", window="Log in"):
            screen.type("Ada\tsecret\n")
            screen.wait_window("Welcome", timeout=2)

Fixtures: `xshm_display`, a VirtualDisplay, the run's; `screen` (or `xshm_screen`), its Screen; `xshm_trace`, the test's
Trace; `assert_screenshot`. `@pytest.mark.xshm` puts a test, or a class of unittest's, on the display without them; with
fresh=True, size=(800, 600) or depth=16 on one of its own. A test that uses one of these is watched: where it fails, in
set-up, call or teardown, test-results/<test>/ has a picture and a trace, an HTML file, of what was on the screen. With
any of the options, or ini names, all tests are on the display and watched (`pytest --help` has them). A display that
was there before ($DISPLAY) is used as it is, and nothing is kept of it but what options ask for.

In reading order:

- `plugin`: what pytest loads: options, fixtures, and the hooks that cost a run nothing which does not use them
- `options`: the options and ini names
- `settings`: their values, checked
- `displays`: the display of the run: the one that is there, or one that is started; and fresh ones of single tests
- `profile`: a desktop that looks the same everywhere, by environment variables
- `run`: the hooks of a run that uses the plugin: when a test begins, fails and ends
- `watch`: what is kept of one test: its picture, trace, video and windows
- `results`: the directory for it: names of files, and what of earlier runs is removed
- `reports`: how pytest's terminal, pytest-html, Allure and JUnit XML come to know of the files
"""
