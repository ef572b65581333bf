"""What a GUI test asserts of a picture: `assert_screenshot("name.png")`.

In reading order:

- `assertion`: AssertScreenshot, what a test calls
- `golden`: the picture that a test expects, in a file beside the test
- `surroundings`: fonts, depth and toolkits, which a picture depends on, in a small file beside that
- `masks`: what of a picture does not count
- `matching`: whether a picture looks like another
- `report`: what is left of two that do not: the message, three pictures, a page
- `difference_page`: the HTML page, in which they blink and slide
"""
