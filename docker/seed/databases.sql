-- One database a participant; `catalog` is made by the image.
CREATE DATABASE mobility;
CREATE DATABASE hospital;
CREATE DATABASE lab;
CREATE DATABASE developer;
