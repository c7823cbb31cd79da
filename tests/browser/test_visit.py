"""The tests' browser: what it blocks and records."""


def test_a_page_reaches_this_machine_only(visit):
    """A request that would leave the machine is blocked and recorded, as are console errors. [contract]"""
    seen = visit()
    # Returns when the page is loaded, with or without its picture.
    seen.page.set_content("<img src='http://example.org/picture.png' alt=''><script>console.error('oh')</script>")
    assert seen.elsewhere == ["http://example.org/picture.png"]
    assert "oh" in seen.errors
