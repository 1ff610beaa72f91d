"""This folder is a ComfyUI custom-node pack as well as a Python project.

ComfyUI imports this file under the folder's path as its name; the library beside it is reached relatively.
"""
