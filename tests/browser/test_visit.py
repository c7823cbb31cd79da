"""The browser of the tests: what it blocks and remembers."""


def test_a_page_reaches_this_machine_only(visit):
    """A request that would leave the machine is blocked and remembered, as are errors in the console [contract]."""
    seen = visit()
    seen.page.set_content("<img src='http://example.org/picture.png' alt=''><script>console.error('oh')</script>")
    seen.page.wait_for_load_state("networkidle")
    assert seen.elsewhere == ["http://example.org/picture.png"]
    assert "oh" in seen.errors
