"""The picture that answers a photo: its boxes, labels that a phone shows legibly, and a legend for what has no room.

It needs numpy and Pillow's font, but no model and no image library: the pixels and the boxes are enough to draw.
"""
